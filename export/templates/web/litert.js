// The model on LiteRT alone: npm install @litertjs/core@2.5.3
// Serve model.tflite, and the folder wasm, beside the page.
import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

export const INPUTS = {
{{inputs}}
};
export const OUTPUTS = {
{{outputs}}
};

let runtime; // is loaded once a page

export async function load(file = "model.tflite", wasm = "node_modules/@litertjs/core/wasm/") {
  runtime ??= loadLiteRt(wasm);
  await runtime;
  return loadAndCompile(file, { accelerator: "wasm" });
}

/** The answers by name, of inputs by name: typed arrays, as long as INPUTS says. */
export async function run(model, inputs) {
  const tensors = {};
  for (const [name, { shape }] of Object.entries(INPUTS)) {
    tensors[name] = new Tensor(inputs[name], shape);
  }
  const made = await model.run(tensors);
  const answers = {};
  for (const [name, tensor] of Object.entries(made)) {
    answers[name] = tensor.toTypedArray().slice();
    tensor.delete();
  }
  Object.values(tensors).forEach((tensor) => tensor.delete());
  return answers;
}
{{picture}}
