
    /** The answers to an ARGB_8888 picture of any size. */
    fun run(picture: Bitmap) = run(mapOf<String, Any>({{input}} to pixels(picture)))

    private fun pixels(picture: Bitmap): ByteBuffer {
        val values = IntArray({{width}} * {{height}})
        Bitmap.createScaledBitmap(picture, {{width}}, {{height}}, true)
            .getPixels(values, 0, {{width}}, 0, 0, {{width}}, {{height}})
        val buffer = ByteBuffer.allocateDirect(values.size * 3 * {{bytes}})
            .order(ByteOrder.nativeOrder())
        for (value in values) {
            for (channel in 0..2) {
                val pixel = value shr (16 - 8 * channel) and 255
                {{put}}
            }
        }
        buffer.rewind()
        return buffer
    }{{constants}}
