// The model with MediaPipe Tasks. In build.gradle.kts:
//     implementation("com.google.mediapipe:tasks-vision:0.10.26")
// Put model.tflite into src/main/assets: it holds its labels and its normalisation.

import android.content.Context
import android.graphics.Bitmap
import com.google.mediapipe.framework.image.BitmapImageBuilder
import com.google.mediapipe.tasks.components.containers.Detection
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.vision.core.RunningMode
import com.google.mediapipe.tasks.vision.objectdetector.ObjectDetector

class ModelTask(context: Context, scoreThreshold: Float = {{score_threshold}}f) : AutoCloseable {
    private val task = ObjectDetector.createFromOptions(
        context,
        ObjectDetector.ObjectDetectorOptions.builder()
            .setBaseOptions(BaseOptions.builder().setModelAssetPath("model.tflite").build())
            .setRunningMode(RunningMode.IMAGE)
            .setScoreThreshold(scoreThreshold)
            .build(),
    )

    /** What is in an ARGB_8888 picture of any size: boundingBox() in its pixels, categories(). */
    fun detect(picture: Bitmap): List<Detection> =
        task.detect(BitmapImageBuilder(picture).build()).detections()

    override fun close() = task.close()
}
