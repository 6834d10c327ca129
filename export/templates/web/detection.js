// The model with MediaPipe Tasks: npm install @mediapipe/tasks-vision@1.1.0
// The file holds its labels and its normalisation. Serve it, and the folder wasm, beside the page.
import { FilesetResolver, ObjectDetector } from "@mediapipe/tasks-vision";

export async function load(
  file = "model.tflite",
  wasm = "node_modules/@mediapipe/tasks-vision/wasm",
) {
  const runtime = await FilesetResolver.forVisionTasks(wasm);
  const baseOptions = { modelAssetPath: file };
  return ObjectDetector.createFromOptions(runtime, { baseOptions, scoreThreshold: {{score_threshold}} });
}

/** What is in an <img>, <canvas> or <video>: boundingBox in its pixels, categories. */
export function detect(task, picture) {
  return task.detect(picture).detections;
}
