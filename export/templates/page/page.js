
const FACTS = JSON.parse(element("facts").textContent);
const MOST = 640; // pixels of the picture that is shown
const times = [];
let model, waiting;

function element(id) {
  return document.getElementById(id);
}

/** The bytes that the page holds: base64 of gzip. */
async function unpacked(id) {
  const packed = Uint8Array.from(atob(element(id).textContent), (x) => x.charCodeAt(0));
  element(id).remove();
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function say(text, failed = false) {
  element("state").textContent = text;
  element("state").classList.toggle("failed", failed);
}

function fail(text) {
  say(text, true);
  document.dispatchEvent(new CustomEvent("failure", { detail: text }));
}

/** A table of rows: text, or elements, a cell each. */
function table(rows) {
  const made = document.createElement("table");
  for (const row of rows) {
    made.insertRow().append(
      ...row.map((x) => {
        const cell = document.createElement("td");
        cell.append(x);
        return cell;
      }),
    );
  }
  return made;
}

function label(index) {
  return FACTS.labels?.[index] ?? `class ${index}`;
}

function color(index) {
  return `hsl(${(index * 137.5) % 360} 80% 45%)`;
}

/** Answer a picture: show it and what the model says, and tell it as the event "answer". */
async function answer(picture) {
  const given = pixels(picture);
  const start = performance.now();
  const answers = await run(model, given);
  const milliseconds = performance.now() - start;
  times.push(milliseconds);
  const canvas = element("picture");
  const scale = Math.min(1, MOST / Math.max(picture.width, picture.height));
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  element("answer").replaceChildren(...show(answers, canvas));
  const median = times.toSorted((a, b) => a - b)[times.length >> 1];
  element("time").textContent =
    `${milliseconds.toFixed(1)} ms for this picture, ${median.toFixed(1)} ms the median of ` +
    `${times.length}, on one thread`;
  const detail = { inputs: given, answers, milliseconds };
  document.dispatchEvent(new CustomEvent("answer", { detail }));
}

/** Answer pictures one after the other; of those that come meanwhile, the newest. */
async function ask(source) {
  const busy = waiting !== undefined;
  waiting = source;
  if (busy) return;
  while (waiting) {
    const next = waiting;
    waiting = null;
    try {
      await answer(next instanceof Blob ? await createImageBitmap(next) : next);
      say("Ready.");
    } catch (error) {
      fail(`This is no picture that can be read. ${error.message ?? error}`);
    }
  }
  waiting = undefined;
}

function takePictures() {
  for (const id of ["file", "camera"]) {
    element(id).addEventListener("change", ({ target }) => {
      if (target.files.length) ask(target.files[0]);
      target.value = "";
    });
  }
  const first = (files) => files.length && ask(files[0]);
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("dragenter", () => document.body.classList.add("over"));
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    first(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => first(event.clipboardData.files));
}

function takeDrawings() {
  const canvas = element("drawing");
  const [, height, width] = Object.values(INPUTS)[0].shape;
  const scale = 280 / Math.max(height, width);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  let changed = false;
  const clear = () => {
    context.fillStyle = element("dark").checked ? "black" : "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    // Of a thinner line some pixels of the model's would see nothing.
    const lineWidth = Math.max(14, 2 * scale);
    Object.assign(context, { lineWidth, lineCap: "round", lineJoin: "round" });
    context.strokeStyle = element("dark").checked ? "white" : "black";
  };
  const place = ({ offsetX, offsetY }) => [
    (offsetX * canvas.width) / canvas.clientWidth,
    (offsetY * canvas.height) / canvas.clientHeight,
  ];
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    context.beginPath();
    context.moveTo(...place(event));
    context.lineTo(...place(event));
    context.stroke();
    changed = true;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    context.lineTo(...place(event));
    context.stroke();
  });
  canvas.addEventListener("lostpointercapture", () => {
    if (changed) ask(canvas);
    changed = false;
  });
  element("clear").addEventListener("click", clear);
  element("dark").addEventListener("change", clear);
  clear();
}

try {
  self.Module = { wasmBinary: await unpacked("wasm") };
  const loader = new Blob([await unpacked("loader")], { type: "text/javascript" });
  model = await load(await unpacked("model"), `${URL.createObjectURL(loader)}#.js`);
  await run(model, pixels(new OffscreenCanvas(8, 8))); // the first one takes longer
  takePictures();
  takeDrawings();
  say("Ready.");
  document.body.dataset.ready = "yes";
} catch (error) {
  fail(`The model does not run in this browser: ${error.message ?? error}`);
}
