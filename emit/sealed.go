package emit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
)

// A sealed file is one that weir wrote whole: its first line says so, and how
// many entries and which bytes follow. It is a comment to nginx and HAProxy. It
// guards against other people's files and half files, not against forgery.
const sealFormat = "# weir list 1 entries=%d sha256=%s; do not edit, weir replaces this file\n"

var sealPattern = regexp.MustCompile(`^# weir list 1 entries=(\d{1,8}) sha256=([0-9a-f]{64});`)

// maxSealed bounds what is read of a sealed file, in bytes: maxProxyCapacity
// entries of the longest kind.
const maxSealed = 256 << 20

// errForeign is that weir did not write a file, and so must not replace it.
var errForeign = errors.New("it does not begin with weir's line, so weir leaves it alone; move it away")

// errDamaged is that weir wrote a file, but not as it is now.
var errDamaged = errors.New("it is not as weir wrote it")

// seal puts the line in front of a file's content.
func seal(body []byte, entries int) []byte {
	head := fmt.Appendf(make([]byte, 0, len(body)+160), sealFormat, entries, sumOf(body))
	return append(head, body...)
}

func sumOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// unseal returns what is behind the line and how many entries that has. An
// empty file is one that somebody made ready, and holds nothing.
func unseal(file []byte) (body []byte, entries int, err error) {
	if len(file) == 0 {
		return nil, 0, nil
	}
	line, body, _ := bytes.Cut(file, []byte{'\n'})
	m := sealPattern.FindSubmatch(line)
	if m == nil {
		return nil, 0, errForeign
	}
	if sumOf(body) != string(m[2]) {
		return nil, 0, fmt.Errorf("%w: its checksum is %.12s…, its first line says %.12s…", errDamaged, sumOf(body), m[2])
	}
	entries, err = strconv.Atoi(string(m[1]))
	return body, entries, err
}

// readSealed returns the content of a sealed file. One that does not exist is
// empty.
func readSealed(path string) (body []byte, entries int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Size() > maxSealed {
		err = fmt.Errorf("%d bytes, must be at most %d: %w", info.Size(), maxSealed, errForeign)
	}
	var file []byte
	if err == nil {
		file, err = io.ReadAll(io.LimitReader(f, maxSealed))
	}
	if err == nil {
		body, entries, err = unseal(file)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	return body, entries, nil
}

// replaceSealed replaces a sealed file by another one. A file that weir did not
// write stays.
func replaceSealed(path string, body []byte, entries int) error {
	if _, _, err := readSealed(path); err != nil && !errors.Is(err, errDamaged) {
		return err
	}
	return replaceFile(path, seal(body, entries), 0o644)
}

// sealedFile is what a sealed file is to be.
type sealedFile struct {
	path    string
	body    []byte
	entries int
}

// same reports whether the file is so already.
func (f *sealedFile) same() (bool, error) {
	body, _, err := readSealed(f.path)
	if errors.Is(err, errDamaged) {
		return false, nil
	}
	_, missing := os.Lstat(f.path)
	return err == nil && missing == nil && len(body) == len(f.body) && bytes.Equal(body, f.body), err
}

// try finds out whether the file can be replaced, and makes it if there is none.
func (f *sealedFile) try() error {
	if _, _, err := readSealed(f.path); err != nil && !errors.Is(err, errDamaged) {
		return err
	}
	if err := tryReplace(f.path); err != nil {
		return err
	}
	if _, err := os.Lstat(f.path); errors.Is(err, fs.ErrNotExist) {
		return replaceSealed(f.path, f.body, f.entries)
	}
	return nil
}
