package seal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
)

var table = crc32.MakeTable(crc32.Castagnoli)

// Sum returns the CRC-32C of b.
func Sum(b []byte) uint32 { return crc32.Checksum(b, table) }

// Seal is what a file began with: its first Size bytes, and their CRC-32C. It
// guards against disks, editors and slips, not against forgery. The zero value
// is that of an empty file.
type Seal struct {
	Size int64  `json:"size"`
	Sum  uint32 `json:"sum"`
}

// With returns the seal of a file behind which b was appended.
func (s Seal) With(b []byte) Seal {
	return Seal{s.Size + int64(len(b)), crc32.Update(s.Sum, table, b)}
}

// Write adds b, so that a seal can be made of what is copied to it.
func (s *Seal) Write(b []byte) (int, error) {
	*s = s.With(b)
	return len(b), nil
}

// ErrBroken is what every error of Check is: a file is not, or not any more,
// what was sealed.
var ErrBroken = errors.New("it is not as it was written")

// Check returns nil if one of the files begins as the seal says. The first is
// the one that the file should be; the others are where it may have been put
// aside since.
func Check(s Seal, paths ...string) error {
	if s.Size == 0 {
		return nil
	}
	var first error
	for _, path := range paths {
		err := check(s, path)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func check(s Seal, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: it is missing, and had %d bytes", path, ErrBroken, s.Size)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return CheckReader(s, f, path)
}

// CheckReader is Check of one file that is open; its name is for the error.
func CheckReader(s Seal, r io.Reader, name string) error {
	var got Seal
	_, err := io.CopyN(&got, r, s.Size)
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%s: %w: it has %d bytes, and had at least %d", name, ErrBroken, got.Size, s.Size)
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	case got.Sum != s.Sum:
		return fmt.Errorf("%s: %w: something within its first %d bytes was changed", name, ErrBroken, s.Size)
	}
	return nil
}

// Kept is the seal of a file that is being written: one goroutine at a time sets
// it, any may load it.
type Kept struct{ p atomic.Pointer[Seal] }

// Load returns the seal as it was last set.
func (k *Kept) Load() Seal {
	if s := k.p.Load(); s != nil {
		return *s
	}
	return Seal{}
}

// Set replaces it.
func (k *Kept) Set(s Seal) { k.p.Store(&s) }
