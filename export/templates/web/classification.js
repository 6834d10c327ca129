// The model with MediaPipe Tasks: npm install @mediapipe/tasks-vision@1.1.0
// The file holds its labels and its normalisation. Serve it, and the folder wasm, beside the page.
import { FilesetResolver, ImageClassifier } from "@mediapipe/tasks-vision";

export async function load(
  file = "model.tflite",
  wasm = "node_modules/@mediapipe/tasks-vision/wasm",
) {
  const runtime = await FilesetResolver.forVisionTasks(wasm);
  const baseOptions = { modelAssetPath: file };
  return ImageClassifier.createFromOptions(runtime, { baseOptions, maxResults: 5 });
}

/** The classes of an <img>, <canvas> or <video>, the most probable first: categoryName, score. */
export function classify(task, picture) {
  return task.classify(picture).classifications[0].categories;
}
