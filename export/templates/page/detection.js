
/** Boxes on the picture, and their list. */
function show(answers, canvas) {
  const context = canvas.getContext("2d");
  const { location, category, score } = answers;
  const rows = [];
  context.font = "16px system-ui, sans-serif";
  for (let i = 0; i < answers.number_of_detections[0]; i++) {
    if (score[i] < FACTS.threshold) continue;
    const [left, top, right, bottom] = [0, 1, 2, 3].map(
      (k) => location[4 * i + k] * (k % 2 ? canvas.height : canvas.width),
    );
    const text = `${label(category[i])} ${score[i].toFixed(2)}`;
    context.strokeStyle = context.fillStyle = color(category[i]);
    context.lineWidth = 3;
    context.strokeRect(left, top, right - left, bottom - top);
    const from = Math.max(20, top);
    context.fillRect(left, from - 20, context.measureText(text).width + 8, 20);
    context.fillStyle = "white";
    context.fillText(text, left + 4, from - 5);
    rows.push([label(category[i]), score[i].toFixed(3)]);
  }
  return [rows.length ? table(rows) : "Nothing was found."];
}
