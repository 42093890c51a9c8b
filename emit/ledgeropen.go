package emit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"weir/event"
	logseal "weir/internal/seal"
)

// LedgerName is the name of the file that a ledger writes.
const LedgerName = "ledger.jsonl"

// Broken is a line of a ledger that is not what was written there.
type Broken struct {
	File string
	Line int // from 1
	Why  string
}

// Error says which line it is.
func (b *Broken) Error() string {
	return fmt.Sprintf("%s: line %d: %s", b.File, b.Line, b.Why)
}

// chainReader reads the kept files of a ledger and checks the chain.
type chainReader struct {
	chains *chains
	chain  []byte       // of the last line
	number int          // of the file that is read
	lines  int          // of all files
	whole  logseal.Seal // of the whole lines in the file that is read
	head   int64        // where the last line at its head ends
	torn   int64        // bytes behind the last whole line
}

// read reads one file and hands out its lines; the last of them may be torn.
func (r *chainReader) read(f *os.File, last bool, take func(line []byte, l *Line)) error {
	br := bufio.NewReaderSize(f, maxLedgerLine+1)
	r.whole, r.head, r.torn = logseal.Seal{}, 0, 0
	for n := 1; ; n++ {
		line, err := br.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			r.torn = int64(len(line))
			if r.torn > 0 && !last {
				return &Broken{f.Name(), n, "it has no end"}
			}
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			rest, rerr := zeros(line, br)
			if rerr == nil && last && rest >= 0 {
				r.torn = int64(len(line)) + rest
				return nil
			}
			return &Broken{f.Name(), n, fmt.Sprintf("it is longer than %d bytes", maxLedgerLine)}
		case err != nil:
			return fmt.Errorf("ledger: %s: %w", f.Name(), err)
		}
		l, why := r.check(line[:len(line)-1], n == 1)
		if why != "" {
			return &Broken{f.Name(), n, why}
		}
		r.whole = r.whole.With(line)
		if n == 1 || l.Again {
			r.head = r.whole.Size
		}
		r.lines++
		if take != nil {
			take(line[:len(line)-1], l)
		}
	}
}

// zeros returns how many bytes follow if there is nothing but zeros: what a
// crash may leave of a write that was not synced. Else it returns -1.
func zeros(begin []byte, r io.Reader) (rest int64, err error) {
	b := make([]byte, 1<<16)
	for chunk := begin; ; {
		if len(bytes.Trim(chunk, "\x00")) > 0 {
			return -1, nil
		}
		n, err := r.Read(b)
		if errors.Is(err, io.EOF) {
			return rest, nil
		}
		if err != nil {
			return -1, err
		}
		rest += int64(n)
		chunk = b[:n]
	}
}

// check reads a line and says what is wrong with it.
func (r *chainReader) check(line []byte, first bool) (l *Line, why string) {
	open, chain, ok := cutChain(line)
	if !ok {
		return nil, "it has no chain"
	}
	got, err := readLine(append(slices.Clip(open), '}'))
	if err != nil {
		return nil, err.Error()
	}
	if first {
		if got.Event != LineOpened {
			return nil, "it is not the first line of a file"
		}
		switch {
		case r.chain == nil: // the oldest kept file says what was before it
			r.chain = []byte(got.Before)
		case got.Before != string(r.chain) || got.File != r.number+1:
			return nil, "lines before it are missing"
		}
		r.number = got.File
	}
	want := r.chains.next(r.chain, open)
	if !bytes.Equal(want, chain) {
		return nil, "its chain does not hold: it, or a line before it, was changed, moved or taken away"
	}
	r.chain = want
	return &got, ""
}

// open reads the ledger's files and goes on with them.
func (l *Ledger) open() error {
	dir := l.dir()
	if err := os.Remove(l.cfg.Path + ".next"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ledger: %w", err) // left by a crash, of no use
	}
	aside, err := asideFiles(dir)
	if err != nil {
		return err
	}
	current, err := os.OpenFile(l.cfg.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	r := &chainReader{chains: newChains(l.cfg.Key)}
	for _, n := range aside {
		if err = l.readAside(r, asidePath(dir, n)); err != nil {
			return errors.Join(err, current.Close())
		}
	}
	if err = r.read(current, true, l.apply); err == nil && r.torn > 0 {
		l.count.Cut = r.torn
		l.log.Warn("ledger: a torn last line is cut off", "file", l.cfg.Path, "bytes", r.torn)
		err = current.Truncate(r.whole.Size)
	}
	if err == nil {
		_, err = current.Seek(r.whole.Size, io.SeekStart)
	}
	if err == nil && l.cfg.Now != nil { // what the last life wrote when it was killed
		err = syncFile(current)
	}
	if err != nil {
		return errors.Join(err, current.Close())
	}
	f := &ledgerFile{
		path: l.cfg.Path, sync: l.cfg.Now != nil, file: current, head: r.head, number: r.number, chains: r.chains, chain: r.chain,
	}
	f.seal.Set(r.whole)
	if f.chain == nil {
		f.chain = firstChain
	}
	l.file = f
	if r.whole.Size == 0 { // a new file, or one put aside just before a crash
		f.number++
		for _, line := range l.head(f.chain, f.number) {
			f.add(line, 1<<62)
		}
	}
	err = l.resettle()
	if err == nil && f.sync {
		err = syncDir(dir)
	}
	if err != nil {
		return errors.Join(err, f.file.Close())
	}
	return nil
}

func (l *Ledger) readAside(r *chainReader, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer f.Close()
	return r.read(f, false, l.apply)
}

// resettle brings what was read up to now: what ended while nothing ran ends,
// and what the guards now object to is withdrawn.
func (l *Ledger) resettle() error {
	if l.cfg.Now != nil {
		now := l.cfg.Now()
		if back := l.at.Sub(wall(now)); back >= smallDrift && !l.at.IsZero() {
			l.at = wall(now)
			l.shift(back.Truncate(time.Second))
			l.write(Line{Event: LineClock, Seconds: int64(back / time.Second), Reason: "the wall clock went back while nothing ran"})
		}
		l.advance(now)
		if l.newest.After(l.at.Add(aheadOfClock)) {
			l.newest = time.Time{} // the wall clock was wrong then: only ids tell
		}
	}
	for _, e := range l.order {
		if e.over {
			continue
		}
		if guard, why := l.cfg.Guards.Objects(&e.d, l.at); guard != "" {
			l.withdraw(e, why, "")
		}
	}
	if l.stopped != nil {
		l.log.Warn("all blocking is still stopped", "by", l.stopped.By, "since", l.stopped.At)
	}
	l.lookForFile()
	l.settle()
	return l.file.fault
}

// write makes a line that the next flush writes.
func (l *Ledger) write(line Line) {
	if line.At.IsZero() {
		line.At = l.at
	}
	l.count.note(&line)
	open := line.open()
	if len(open) > maxLedgerLine-100 {
		line.Decision.Sources = nil // of very many partitions
		open = line.open()
	}
	if l.file == nil {
		l.recent.add(append(open, '}'))
		l.count.Lines++
		return
	}
	most := l.limits.pending
	if !droppable(&line) {
		most = math.MaxInt
	}
	if !l.file.add(open, most) {
		l.count.Lost++
		return
	}
	l.recent.add(append(slices.Clip(open), '}'))
	l.count.Lines++
}

// droppable reports whether a line may be lost where there is no room for lines
// that wait for a disk: those that an attacker makes many of, and on which no
// restart depends. The others are as many as what was in force when it filled,
// and what people do.
func droppable(line *Line) bool {
	is, _ := aboutDecision(line.Event)
	return is && (line.Event == LineHeld || line.Event == LineQueued || line.Mode != event.Enforce.String())
}

// flush writes and syncs the lines that were made; it reports whether it could.
func (l *Ledger) flush() bool {
	if l.file == nil {
		return true
	}
	err := l.file.flush()
	if err == nil && l.file.full(l.limits.fileBytes) {
		err = l.file.rotate(l.head, l.limits.files)
		l.file.fault = err
	}
	l.well = err == nil
	return l.well
}

// retry tries to write again what could not be written.
func (l *Ledger) retry() {
	if !l.well && l.flush() {
		l.log.Info("ledger: it can be written again")
		l.dirty = true
	}
}

// VerifyLedger checks the chain of all kept files in a directory and returns
// how many lines hold. A line that does not is a *Broken. A torn last line, as
// of a run that is writing it, is none yet.
func VerifyLedger(dir string, key *event.Key) (lines int, err error) {
	r := &chainReader{chains: newChains(key)}
	return r.all(filepath.Join(dir, LedgerName), nil)
}

// all reads all kept files.
func (r *chainReader) all(path string, take func([]byte, *Line)) (lines int, err error) {
	files, err := openLedgerFiles(path)
	if err != nil {
		return 0, err
	}
	defer closeAll(files)
	if len(files) == 0 {
		return 0, fmt.Errorf("ledger: %s: %w", path, fs.ErrNotExist)
	}
	for i, f := range files {
		if err := r.read(f, i == len(files)-1, take); err != nil {
			return r.lines, err
		}
	}
	return r.lines, nil
}

// ReadLedger opens the ledger in a directory to be read only, as when nothing
// runs; while something does, it is how things stood a moment ago.
func ReadLedger(dir string, key *event.Key) (*Ledger, error) {
	path := filepath.Join(dir, LedgerName)
	var err error
	for range 3 { // a file may be put aside while they are opened
		l := newLedger(LedgerConfig{Path: path, Key: key})
		l.only = true
		r := &chainReader{chains: newChains(l.cfg.Key)}
		if _, err = r.all(path, l.apply); err == nil {
			l.file = &ledgerFile{path: path, number: r.number, chain: r.chain}
			for now := time.Now(); len(l.ends) > 0 && !l.ends[0].d.Until.After(now); {
				l.remove(l.ends[0])
			}
			l.dirty = true
			l.publish()
			return l, nil
		}
		if broken := (*Broken)(nil); !errors.As(err, &broken) {
			break
		}
	}
	return nil, err
}
