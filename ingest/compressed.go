package ingest

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// headBytes is how much of a file is looked at to know what it is.
const headBytes = 10

// zstdWindow bounds the memory of one zstd decoder. It is what the zstd tool
// itself accepts without being asked to, and what its --long writes.
const zstdWindow = 128 << 20

// compression is how a file is compressed.
type compression uint8

const (
	uncompressed compression = iota
	gzipped
	zstded
)

// compressedNames are the endings of compressed files.
var compressedNames = []string{".gz", ".zst", ".zstd"}

// compressionOf judges a file by its first bytes and, where those do not
// tell, by its name: a file called .gz that does not begin as one is damaged.
func compressionOf(path string, head []byte) compression {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}): // a skippable frame
		return zstded
	case strings.HasSuffix(path, ".gz"):
		return gzipped
	case strings.HasSuffix(path, ".zst"), strings.HasSuffix(path, ".zstd"):
		return zstded
	}
	return uncompressed
}

// unreadable returns what to do about a file that begins as something which
// is not read here, or "".
func unreadable(head []byte) string {
	for _, f := range []struct{ magic, is, with string }{
		{"\xfd7zXZ\x00", "xz", "xzcat"},
		{"\x04\x22\x4d\x18", "lz4", "lz4cat"},
		{"PK\x03\x04", "a zip archive", "unzip -p"},
	} {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return fmt.Sprintf("%s, which is not read; use: %s FILE | weir replay -", f.is, f.with)
		}
	}
	if bytes.HasPrefix(head, []byte("BZh")) && len(head) == headBytes && bytes.HasPrefix(head[4:], []byte("1AY&SY")) {
		return "bzip2, which is not read; use: bzcat FILE | weir replay -"
	}
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return "UTF-16 text, which is not read; use: iconv -f UTF-16 -t UTF-8 FILE | weir replay -"
	}
	return ""
}

// decompressor holds the decoders of one log; they are used again from file to
// file. Their memory depends on their windows alone, never on how much comes
// out of how little.
type decompressor struct {
	gz  *gzip.Reader
	zst *zstd.Decoder
}

// reader returns a reader of what src holds.
func (d *decompressor) reader(c compression, src io.Reader) (io.Reader, error) {
	switch c {
	case gzipped:
		if d.gz == nil {
			d.gz = new(gzip.Reader)
		}
		if err := d.gz.Reset(src); err != nil {
			return nil, err
		}
		return d.gz, nil
	case zstded:
		if d.zst == nil {
			// One decoder runs in its caller: no goroutines of its own.
			z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderMaxMemory(zstdWindow))
			if err != nil {
				return nil, err
			}
			d.zst = z
		}
		if err := d.zst.Reset(src); err != nil {
			return nil, err
		}
		return d.zst, nil
	}
	return src, nil
}

func (d *decompressor) close() {
	if d.zst != nil {
		d.zst.Close()
	}
}
