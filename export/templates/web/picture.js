
const MEAN = {{mean}};
const STD = {{std}};

/** What goes in of an <img>, <canvas> or <video>: run(model, pixels(picture)). */
export function pixels(picture) {
  const canvas = new OffscreenCanvas({{width}}, {{height}});
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, {{width}}, {{height}});
  const { data } = context.getImageData(0, 0, {{width}}, {{height}});
  const values = new {{array}}({{width}} * {{height}} * {{channels}});
  for (let i = 0; i < values.length; i++) {
    const channel = i % {{channels}};
    values[i] = ({{pixel}} - MEAN[channel]) / STD[channel];
  }
  return { {{input}}: values };
}
