// The model with MediaPipe Tasks. In build.gradle.kts:
//     implementation("com.google.mediapipe:tasks-vision:0.10.26")
// Put model.tflite into src/main/assets: it holds its labels and its normalisation.

import android.content.Context
import android.graphics.Bitmap
import com.google.mediapipe.framework.image.BitmapImageBuilder
import com.google.mediapipe.tasks.components.containers.Category
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.vision.core.RunningMode
import com.google.mediapipe.tasks.vision.imageclassifier.ImageClassifier

class ModelTask(context: Context, maxResults: Int = 5) : AutoCloseable {
    private val task = ImageClassifier.createFromOptions(
        context,
        ImageClassifier.ImageClassifierOptions.builder()
            .setBaseOptions(BaseOptions.builder().setModelAssetPath("model.tflite").build())
            .setRunningMode(RunningMode.IMAGE)
            .setMaxResults(maxResults)
            .build(),
    )

    /** The classes of an ARGB_8888 picture of any size, the most probable first. */
    fun classify(picture: Bitmap): List<Category> =
        task.classify(BitmapImageBuilder(picture).build())
            .classificationResult().classifications().first().categories()

    override fun close() = task.close()
}
