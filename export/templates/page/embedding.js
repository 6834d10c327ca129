
let before;

/** How alike this picture and the one before are: the cosine of their embeddings. */
function show(answers) {
  const now = Object.values(answers)[0];
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const old = before;
  before = now;
  if (!old) return ["Give a second picture to compare it with this one."];
  const likeness = dot(now, old) / Math.sqrt(dot(now, now) * dot(old, old));
  return [table([["Likeness to the picture before, 1 at most", likeness.toFixed(3)]])];
}
