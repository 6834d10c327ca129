// The model with MediaPipe Tasks: npm install @mediapipe/tasks-vision@1.1.0
// The file holds its labels and its normalisation. Serve it, and the folder wasm, beside the page.
import { FilesetResolver, ImageSegmenter } from "@mediapipe/tasks-vision";

export async function load(
  file = "model.tflite",
  wasm = "node_modules/@mediapipe/tasks-vision/wasm",
) {
  const runtime = await FilesetResolver.forVisionTasks(wasm);
  return ImageSegmenter.createFromOptions(runtime, {
    baseOptions: { modelAssetPath: file },
    outputCategoryMask: true,
    outputConfidenceMasks: false,
  });
}

/** The class of each pixel of an <img>, <canvas> or <video>, row after row. */
export function segment(task, picture) {
  const result = task.segment(picture);
  const { width, height } = result.categoryMask;
  const classes = result.categoryMask.getAsUint8Array().slice();
  result.close();
  return { width, height, classes };
}
