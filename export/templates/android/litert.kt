// The model on LiteRT alone. In build.gradle.kts:
//     implementation("com.google.ai.edge.litert:litert:1.4.0")
//     android { androidResources { noCompress += "tflite" } }
// Put model.tflite into src/main/assets.

import android.content.Context
{{imports}}import java.io.FileInputStream
import java.nio.Buffer
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import java.nio.IntBuffer
import java.nio.LongBuffer
import java.nio.channels.FileChannel
import org.tensorflow.lite.Interpreter

class ModelLiteRt(context: Context, threads: Int = 2) : AutoCloseable {
    private val interpreter = context.assets.openFd("model.tflite").use { file ->
        val bytes = FileInputStream(file.fileDescriptor).channel
            .map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
        Interpreter(bytes, Interpreter.Options().setNumThreads(threads))
    }

    /**
     * The answers by name, of inputs by name: direct buffers in native order, or arrays.
     *
     * Inputs:
{{inputs}}
     */
    fun run(inputs: Map<String, Any>): Map<String, Buffer> {
        val outputs = mapOf<String, Buffer>(
{{outputs}}
        )
        interpreter.runSignature(inputs, outputs, {{signature}})
        outputs.values.forEach { it.rewind() }
        return outputs
    }
{{picture}}
    override fun close() = interpreter.close()
}
