package emit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"weir/event"
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
	chain  []byte // of the last line
	number int    // of the file that is read
	lines  int    // of all files
	end    int64  // of the last whole line in the file that is read
	head   int64  // of the last line at its head
	torn   int64  // bytes behind it
}

// read reads one file and hands out its lines; the last of them may be torn.
func (r *chainReader) read(f *os.File, last bool, take func(line []byte, l *Line)) error {
	br := bufio.NewReaderSize(f, maxLedgerLine+1)
	r.end, r.head, r.torn = 0, 0, 0
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
		r.end += int64(len(line))
		if n == 1 || l.Again {
			r.head = r.end
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
	got, err := readLine(append(open[:len(open):len(open)], '}'))
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
		err = current.Truncate(r.end)
	}
	if err == nil {
		_, err = current.Seek(r.end, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, current.Close())
	}
	f := &ledgerFile{
		path: l.cfg.Path, sync: l.cfg.Now != nil, file: current, size: r.end, head: r.head, number: r.number, chains: r.chains, chain: r.chain,
	}
	if f.chain == nil {
		f.chain = firstChain
	}
	l.file = f
	if r.end == 0 { // a new file, or one put aside just before a crash
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

// apply does what a line says once more.
func (l *Ledger) apply(raw []byte, line *Line) {
	if line.Event != LineOpened {
		l.recent.add(bytes.Clone(raw))
	}
	if !line.At.IsZero() {
		l.at = line.At
	}
	d := &line.Decision
	if is, evidence := aboutDecision(line.Event); is && evidence {
		l.seen.add(l.cfg.Key.HashString(d.ID), l.limits.seen)
	}
	switch line.Event {
	case LineNew, LineRenew, LineStanding:
		l.applyForce(line)
	case LineHeld:
		l.queue.remove(forceKey(d))
		l.held.add(d, l.limits.held)
	case LineQueued:
		key := forceKey(d)
		if w := l.queue.find(key); w != nil {
			w.renew(d)
		} else if l.entries[key] == nil {
			l.queue.add(&waiter{key: key, d: *d, reason: line.Reason})
		}
	case LineEnd, LineWithdrawn:
		if e := l.entries[forceKey(d)]; e != nil {
			l.remove(e)
			if line.Event == LineWithdrawn {
				l.held.add(d, l.limits.held)
			}
		}
	case LineMilder:
		if e := l.entries[forceKey(d)]; e != nil {
			l.breaker.leave(e)
			e.action, e.reason, e.good, e.public = actionOf(line), line.Reason, number(d.Good), nil
			l.breaker.enter(e)
		}
	case LineTripped:
		l.breaker.rule(line.Rule).trip = line.first()
	case LineApproved:
		if line.Rule != "" {
			l.excuse(line.Rule)
		}
	case LineUnblocked:
		if u := (unblock{target: line.Target, until: line.Until, by: line.By}); !line.Again || !slices.ContainsFunc(l.spared, u.equal) {
			l.spared = append(l.spared, u)
		}
	case LineStopped:
		l.stopped = line.first()
	case LineResumed:
		l.stopped = nil
	case LineClock:
		l.shift(time.Duration(line.Seconds) * time.Second)
	}
}

func actionOf(line *Line) event.Action {
	if a, ok := event.ActionByName(line.Action); ok {
		return a
	}
	return event.NoAction // none: nothing is enforced
}

// applyForce puts what a line says is in force into force.
func (l *Ledger) applyForce(line *Line) {
	d := &line.Decision
	if line.Mode != event.Enforce.String() || actionOf(line) == event.NoAction || actionOf(line) == event.Alert {
		return
	}
	key := forceKey(d)
	l.queue.remove(key)
	if e := l.entries[key]; e != nil {
		if line.Event == LineStanding {
			return // the lines before say the same
		}
		l.breaker.leave(e)
		if line.Event == LineNew {
			until := e.d.Until
			if d.Rule == ruleOperator {
				until = d.Until // the newest word counts
			}
			e.d = *d
			e.d.Until = later(until, d.Until)
			e.by = line.By
		}
		e.good, e.action, e.reason = number(d.Good), actionOf(line), line.Reason
		l.breaker.enter(e)
		l.until(e, later(e.d.Until, d.Until))
		return
	}
	e := &entry{key: key, d: *d, action: actionOf(line), since: line.At, good: d.Good, by: line.By, reason: line.Reason}
	if !line.Since.IsZero() {
		e.since = line.Since
	}
	e.excused = line.Excused
	e.first()
	if e.touches() {
		l.breaker.pace.take(e.since)
	}
	l.insert(e)
}

// head returns the first lines of a file: what was before it, and how things
// stand.
func (l *Ledger) head(before []byte, number int) [][]byte {
	lines := []Line{{Event: LineOpened, File: number, Before: string(before)}}
	for _, e := range l.order {
		if !e.over {
			line := e.line(LineStanding, e.reason, e.by)
			line.Since, line.Excused, line.Again = e.since, e.excused, true
			lines = append(lines, line)
		}
	}
	for _, w := range l.queue.all {
		lines = append(lines, Line{Event: LineQueued, Decision: w.d, Mode: event.Enforce.String(), Action: noAction, Reason: w.reason, Again: true})
	}
	for _, rule := range sortedKeys(l.breaker.rules) {
		if t := l.breaker.rules[rule].trip; t != nil {
			lines = append(lines, t.again())
		}
	}
	for _, u := range l.spared {
		lines = append(lines, Line{Event: LineUnblocked, Target: u.target, Until: u.until, By: u.by, Again: true})
	}
	if l.stopped != nil {
		lines = append(lines, l.stopped.again())
	}
	out := make([][]byte, len(lines))
	for i := range lines {
		lines[i].At = l.at
		out[i] = lines[i].appendOpen(nil)
	}
	return out
}

// first returns the line as it was said at first.
func (l *Line) first() *Line {
	line := *l
	if line.Again {
		line.Again, line.At, line.Since = false, l.Since, time.Time{}
	}
	return &line
}

// again returns a line that says once more what this one says.
func (l *Line) again() Line {
	line := *l
	line.Again, line.Since = true, l.At
	return line
}

// write makes a line that the next flush writes.
func (l *Ledger) write(line Line) {
	if line.At.IsZero() {
		line.At = l.at
	}
	l.count.note(&line)
	open := line.appendOpen(nil)
	if len(open) > maxLedgerLine-100 {
		line.Decision.Sources = nil // of very many partitions
		open = line.appendOpen(nil)
	}
	if l.file == nil {
		l.recent.add(append(open, '}'))
		l.count.Lines++
		return
	}
	if !l.file.add(open, l.limits.pending) {
		l.count.Lost++
		return
	}
	l.recent.add(append(open[:len(open):len(open)], '}'))
	l.count.Lines++
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
