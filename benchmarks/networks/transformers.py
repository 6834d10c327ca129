"""Transformers of images, which `keras.applications` does not hold."""

from backbones import vit
from benchmarks.networks.network import Network

# Parameters and multiply-adds as timm counts them, products of attention included; the papers
# have 86, 307, 5.7 and 22 M.
NETWORKS = [
    Network("ViT-B/16", vit, paper_params=86_567_656, paper_macs=17.56e9),
    Network("ViT-L/16", vit, {"size": "large"}, paper_params=304_326_632, paper_macs=61.55e9),
    Network("ViT-Ti/16", vit, {"size": "tiny"}, paper_params=5_717_416, paper_macs=1.26e9),
    Network("ViT-S/16", vit, {"size": "small"}, paper_params=22_050_664, paper_macs=4.61e9),
    Network("ViT-B/32", vit, {"patch_size": 32}, paper_params=88_224_232, paper_macs=4.41e9),
]
