"""Networks that come in many sizes: EfficientNet and its second version, ConvNeXt."""

from backbones import convnext, efficientnet, efficientnet_v2
from benchmarks.networks.network import Network

# Side, parameters and multiply-adds: trained parameters as PyTorch's networks have them,
# multiply-adds as the papers round them.
EFFICIENTNET = {
    "b0": (224, 5_288_548, 0.39e9),
    "b1": (240, 7_794_184, 0.70e9),
    "b2": (260, 9_109_994, 1.0e9),
    "b3": (300, 12_233_232, 1.8e9),
    "b4": (380, 19_341_616, 4.2e9),
    "b5": (456, 30_389_784, 9.9e9),
    "b6": (528, 43_040_704, 19e9),
    "b7": (600, 66_347_960, 37e9),
}
LITE = {  # the authors' table
    "lite0": (224, 4.7e6, 407e6),
    "lite1": (240, 5.4e6, 631e6),
    "lite2": (260, 6.1e6, 899e6),
    "lite3": (280, 8.2e6, 1.44e9),
    "lite4": (300, 13.0e6, 2.64e9),
}
EFFICIENTNET_V2 = {
    "b0": (224, 7.1e6, 0.7e9),
    "b1": (240, 8.1e6, 1.2e9),
    "b2": (260, 10.1e6, 1.7e9),
    "b3": (300, 14.4e6, 3.0e9),
    "s": (384, 21_458_488, 8.4e9),
    "m": (480, 54_139_356, 24e9),
    "l": (480, 118_515_272, 53e9),
}
CONVNEXT = {
    "tiny": (28_589_128, 4.5e9),
    "small": (50_223_688, 8.7e9),
    "base": (88_591_464, 15.4e9),
    "large": (197_767_336, 34.4e9),
    "xlarge": (350e6, 60.9e9),
}
CONVNEXT_V2 = {  # table 12 of the second paper
    "atto": (3.7e6, 0.55e9),
    "femto": (5.2e6, 0.78e9),
    "pico": (9.1e6, 1.37e9),
    "nano": (15.6e6, 2.45e9),
    "tiny": (28.6e6, 4.47e9),
    "base": (89e6, 15.4e9),
    "large": (198e6, 34.4e9),
    "huge": (660e6, 115e9),
}

NETWORKS = [
    *(
        Network(
            f"EfficientNet-{variant.upper()}",
            efficientnet,
            {"variant": variant},
            f"EfficientNet{variant.upper()}",
            side=side,
            test_side=64 if variant == "b0" else None,
            paper_params=params,
            paper_macs=macs,
            preprocesses=True,
            adds_layers=True,
        )
        for variant, (side, params, macs) in EFFICIENTNET.items()
    ),
    *(
        Network(
            f"EfficientNet-{variant.title()}",
            efficientnet,
            {"variant": variant},
            side=side,
            paper_params=params,
            paper_macs=macs,
        )
        for variant, (side, params, macs) in LITE.items()
    ),
    *(
        Network(
            f"EfficientNetV2-{variant.upper()}",
            efficientnet_v2,
            {"variant": variant},
            f"EfficientNetV2{variant.upper()}",
            side=side,
            test_side=75 if variant == "b0" else None,
            paper_params=params,
            paper_macs=macs,
            preprocesses=True,
        )
        for variant, (side, params, macs) in EFFICIENTNET_V2.items()
    ),
    *(
        Network(
            f"ConvNeXt-{size.title()}",
            convnext,
            {"size": size},
            f"ConvNeXt{'XLarge' if size == 'xlarge' else size.title()}",
            test_side=75 if size == "tiny" else None,
            paper_params=params,
            paper_macs=macs,
            preprocesses=True,
        )
        for size, (params, macs) in CONVNEXT.items()
    ),
    *(
        Network(
            f"ConvNeXtV2-{size.title()}",
            convnext,
            {"size": size, "version": 2},
            paper_params=params,
            paper_macs=macs,
        )
        for size, (params, macs) in CONVNEXT_V2.items()
    ),
]
