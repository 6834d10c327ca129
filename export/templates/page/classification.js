
/** The most probable classes as bars. */
function show(answers) {
  const [name, { type }] = Object.entries(OUTPUTS)[0];
  const scores = Array.from(answers[name], (x) => (type === "uint8" ? x / 255 : x));
  const order = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
  const most = Math.max(1, scores[order[0]]);
  return [
    table(
      order.slice(0, 10).map((i) => {
        const bar = document.createElement("div");
        bar.className = "bar";
        bar.style.width = `${(100 * Math.max(0, scores[i])) / most}%`;
        const cell = document.createElement("div");
        cell.append(label(i), bar);
        return [cell, scores[i].toFixed(3)];
      }),
    ),
  ];
}
