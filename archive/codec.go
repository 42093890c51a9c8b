package archive

import (
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/klauspost/compress/zstd"
)

// reach is how far back compression looks. It decides how much memory a coder
// takes; pages are hardly larger.
const reach = 512 << 10

// fileCodec compresses pages. The next level costs a fifth more for 2 % less.
var fileCodec = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(reach), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(true), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic("the options of the encoder: " + err.Error())
	}
	return e
})

// decoder reads pages. It never makes more of one than it was given room for.
var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		panic("the options of the decoder: " + err.Error())
	}
	return d
})

// registerCodec has arrow compress pages with coders that are used again: its
// own makes one for each page, and lets a page unpack to any size.
var registerCodec = sync.OnceFunc(func() { compress.RegisterCodec(compress.Codecs.Zstd, pageCodec{}) })

// pageCodec is arrow's interface to the coders above.
type pageCodec struct{}

// Decode unpacks into dst, which arrow made as large as the page says it is. A
// page that cannot be unpacked is a panic, as arrow expects.
func (pageCodec) Decode(dst, src []byte) []byte {
	out, err := decoder().DecodeAll(src, dst[:0:len(dst)])
	if err != nil {
		panic(fmt.Errorf("page: %w", err))
	}
	return out
}

func (pageCodec) Encode(dst, src []byte) []byte { return fileCodec().EncodeAll(src, dst[:0]) }

func (c pageCodec) EncodeLevel(dst, src []byte, _ int) []byte { return c.Encode(dst, src) }

func (pageCodec) CompressBound(n int64) int64 { return int64(fileCodec().MaxEncodedSize(int(n))) }

func (pageCodec) NewReader(r io.Reader) io.ReadCloser {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic("the options of the decoder: " + err.Error())
	}
	return d.IOReadCloser()
}

func (c pageCodec) NewWriter(w io.Writer) io.WriteCloser {
	e, err := c.NewWriterLevel(w, 0)
	if err != nil {
		panic("the options of the encoder: " + err.Error())
	}
	return e
}

func (pageCodec) NewWriterLevel(w io.Writer, _ int) (io.WriteCloser, error) {
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
}
