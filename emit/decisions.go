package emit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"weir/event"
	logseal "weir/internal/seal"
)

// The limits of decisions.jsonl in a state's directory.
const (
	decisionsFile  = 64 << 20 // bytes, then it is put aside as decisions-N.jsonl
	decisionsFiles = 16       // that are kept besides
	maxLine        = 1 << 20
)

// Decisions is the file of all that the engine decided, in a state's directory.
// A run that begins again makes the decisions of its last life once more, in
// the same order; what the file has of them is passed over.
type Decisions struct {
	path string
	file *os.File
	seal logseal.Kept    // of what is safe
	last time.Time       // of the newest line
	held map[string]bool // the lines of that second, by step and id
	buf  []byte
}

// OpenDecisions opens or makes the file at path. A torn last line, which
// nothing depended on, is cut off; cut says how many bytes it had.
func OpenDecisions(path string) (d *Decisions, cut int64, err error) {
	d = &Decisions{path: path, held: map[string]bool{}}
	if d.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, 0, fmt.Errorf("decisions: %w", err)
	}
	whole, err := d.read(path)
	if err == nil && whole.Size == 0 {
		// Nothing since it was put aside: the one before says how far it was.
		if n := d.newest(); n > 0 {
			_, err = d.read(d.aside(n))
		}
	}
	if err == nil {
		// What the last life wrote when it was killed may not be safe yet.
		err = errors.Join(syncFile(d.file), syncDir(filepath.Dir(path)))
	}
	if err == nil {
		var end int64
		if end, err = d.file.Seek(0, 2); err == nil && end > whole.Size {
			cut = end - whole.Size
			if err = d.file.Truncate(whole.Size); err == nil {
				_, err = d.file.Seek(whole.Size, 0)
			}
		}
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("decisions: %w", err), d.file.Close())
	}
	d.seal.Set(whole)
	return d, cut, nil
}

// read finds the newest lines of a file and returns the seal of its whole lines.
func (d *Decisions) read(path string) (whole logseal.Seal, err error) {
	f, err := os.Open(path)
	if err != nil {
		return whole, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, maxLine)
	for number := 1; ; number++ {
		line, err := r.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				return whole, fmt.Errorf("%s:%d: a line of more than %d bytes", path, number, maxLine)
			}
			return whole, nil // the rest is no whole line
		}
		var head struct {
			Event string    `json:"event"`
			ID    string    `json:"id"`
			Time  time.Time `json:"time"`
		}
		if err := json.Unmarshal(bytes.TrimSpace(line), &head); err != nil {
			return whole, fmt.Errorf("%s:%d: not a decision: %w", path, number, err)
		}
		d.note(head.Event, head.ID, head.Time)
		whole = whole.With(line)
	}
}

func (d *Decisions) note(step, id string, at time.Time) {
	if at.After(d.last) {
		d.last = at
		clear(d.held)
	}
	d.held[step+id] = true
}

// Add writes the decisions that the file does not have yet. What it wrote is
// safe when Add returns; after an error nothing of it stands in the file.
func (d *Decisions) Add(ds []event.Decision) error {
	d.buf = d.buf[:0]
	first := -1
	for i := range ds {
		at := ds[i].Time
		if at.Before(d.last) || at.Equal(d.last) && d.held[ds[i].Step.String()+ds[i].ID] {
			continue
		}
		if first < 0 {
			first = i
		}
		d.buf = append(ds[i].AppendJSON(d.buf), '\n')
	}
	if first < 0 {
		return nil
	}
	_, err := d.file.Write(d.buf)
	if err == nil {
		err = syncFile(d.file)
	}
	if err != nil {
		err = fmt.Errorf("decisions: %w", err)
		size := d.seal.Load().Size
		if back := d.file.Truncate(size); back == nil {
			_, back = d.file.Seek(size, 0)
			return errors.Join(err, back)
		}
		return err
	}
	d.seal.Set(d.seal.Load().With(d.buf))
	for i := first; i < len(ds); i++ {
		d.note(ds[i].Step.String(), ds[i].ID, ds[i].Time.UTC())
	}
	if d.seal.Load().Size >= decisionsFile {
		return d.putAside()
	}
	return nil
}

// Last returns the time of the newest line; zero where there is none.
func (d *Decisions) Last() time.Time { return d.last }

func (d *Decisions) aside(n int) string {
	return d.path[:len(d.path)-len(".jsonl")] + "-" + strconv.Itoa(n) + ".jsonl"
}

// newest returns the highest number of a file put aside; 0: there is none.
func (d *Decisions) newest() int {
	n := 0
	for _, err := os.Stat(d.aside(n + 1)); err == nil; _, err = os.Stat(d.aside(n + 1)) {
		n++
	}
	return n
}

// putAside begins a new file. It is made first, so that whatever fails leaves
// one that is written and the next Add tries again. The oldest of those put
// aside goes when there are too many; the others keep their order.
func (d *Decisions) putAside() error {
	next, err := os.OpenFile(d.path+".next", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("decisions: the next file: %w", err)
	}
	if err = syncFile(next); err == nil {
		err = d.swap(next.Name())
	}
	if err != nil {
		return fmt.Errorf("decisions: %w", errors.Join(err, next.Close()))
	}
	old := d.file
	d.file = next
	d.seal.Set(logseal.Seal{})
	if err := errors.Join(old.Close(), syncDir(filepath.Dir(d.path))); err != nil {
		return fmt.Errorf("decisions: %w", err)
	}
	return nil
}

// swap puts the file aside and the next one into its place. One that is not
// there was put aside by a swap that failed after that.
func (d *Decisions) swap(next string) error {
	n := d.newest()
	if n >= decisionsFiles {
		for i := 1; i < n; i++ {
			if err := os.Rename(d.aside(i+1), d.aside(i)); err != nil {
				return err
			}
		}
		n--
	}
	if err := os.Rename(d.path, d.aside(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(next, d.path)
}

// Close closes the file.
func (d *Decisions) Close() error { return d.file.Close() }
