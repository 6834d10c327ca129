
/** The class of each pixel over the picture, and each class's share. */
function show(answers, canvas) {
  const [name, { shape }] = Object.entries(OUTPUTS)[0];
  const [, height, width, count] = shape;
  const values = answers[name];
  const classes = Array.from({ length: height * width }, (_, i) => {
    if (count === undefined) return values[i];
    if (count === 1) return values[i] > (FACTS.activation === "sigmoid" ? 0 : 0.5) ? 1 : 0;
    const pixel = values.subarray(i * count, (i + 1) * count);
    return pixel.indexOf(Math.max(...pixel));
  });
  const sizes = new Map();
  classes.forEach((x) => sizes.set(x, (sizes.get(x) ?? 0) + 1));
  const mask = new OffscreenCanvas(width, height);
  const painter = mask.getContext("2d");
  classes.forEach((x, i) => {
    painter.fillStyle = color(x);
    painter.fillRect(i % width, Math.floor(i / width), 1, 1);
  });
  const context = canvas.getContext("2d");
  context.globalAlpha = 0.5;
  context.imageSmoothingEnabled = false;
  context.drawImage(mask, 0, 0, canvas.width, canvas.height);
  const rows = [...sizes].sort((a, b) => b[1] - a[1]);
  return [
    table(
      rows.map(([x, size]) => {
        const swatch = document.createElement("span");
        swatch.className = "swatch";
        swatch.style.background = color(x);
        const cell = document.createElement("div");
        cell.append(swatch, count === 1 ? (x ? label(0) : "else") : label(x));
        return [cell, `${((100 * size) / classes.length).toFixed(1)} %`];
      }),
    ),
  ];
}
