// The model with MediaPipe Tasks. In build.gradle.kts:
//     implementation("com.google.mediapipe:tasks-vision:0.10.26")
// Put model.tflite into src/main/assets: it holds its labels and its normalisation.

import android.content.Context
import android.graphics.Bitmap
import com.google.mediapipe.framework.image.BitmapImageBuilder
import com.google.mediapipe.framework.image.ByteBufferExtractor
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.vision.core.RunningMode
import com.google.mediapipe.tasks.vision.imagesegmenter.ImageSegmenter
import java.nio.ByteBuffer

class ModelTask(context: Context) : AutoCloseable {
    private val task = ImageSegmenter.createFromOptions(
        context,
        ImageSegmenter.ImageSegmenterOptions.builder()
            .setBaseOptions(BaseOptions.builder().setModelAssetPath("model.tflite").build())
            .setRunningMode(RunningMode.IMAGE)
            .setOutputCategoryMask(true)
            .setOutputConfidenceMasks(false)
            .build(),
    )

    /** The class of each pixel of an ARGB_8888 picture, row after row, one byte each. */
    fun segment(picture: Bitmap): ByteBuffer =
        ByteBufferExtractor.extract(
            task.segment(BitmapImageBuilder(picture).build()).categoryMask().get(),
        )

    override fun close() = task.close()
}
