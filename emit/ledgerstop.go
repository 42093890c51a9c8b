package emit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// StopFile is the file in the ledger's directory that stops all blocking while
// it is there, so that it can be done when nothing answers.
const StopFile = "stop-blocking"

// Stop empties every list at once and holds everything until Resume.
func (l *Ledger) Stop(by, reason string) error {
	if err := errors.Join(words("by", by), words("reason", reason)); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.lever(); err != nil {
		return err
	}
	var noFile error
	if path := l.stopFile(); path != "" {
		// It is stopped all the same: the file is there for those who look.
		if noFile = makeStopFile(path, by+": "+reason+"\n"); noFile != nil {
			noFile = fmt.Errorf("stop: stopped, but without its file: %w", noFile)
		}
		l.byFile = l.byFile || noFile == nil
	}
	l.stop(by, reason)
	return errors.Join(l.settleStop(), noFile)
}

// makeStopFile makes the file that stops all blocking. What stands there
// already says the same, whatever it is, and is left: a link must not lead
// weir's hand to another file.
func makeStopFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, _ = f.WriteString(text) // a full disk has room for the name, which is what counts
	return f.Close()
}

func (l *Ledger) settleStop() error {
	l.settle()
	return l.unwritten()
}

func (l *Ledger) stop(by, reason string) {
	if l.stopped != nil {
		l.noteFile()
		return
	}
	line := Line{Event: LineStopped, Reason: reason, By: by, Filed: l.byFile}
	l.write(line)
	line.At = l.at
	l.stopped = &line
	l.log.Warn("all blocking is stopped", "by", by, "reason", reason)
}

// noteFile writes that the file of a stop is there since after it began: a
// restart that does not find it any more resumes.
func (l *Ledger) noteFile() {
	if l.byFile && !l.stopped.Filed {
		line := *l.stopped
		line.Filed, line.At = true, l.at
		l.write(line)
		l.stopped = &line
	}
}

// Resume ends a stop: what is still in force comes back, and decisions come
// into force again.
func (l *Ledger) Resume(by string) error {
	if err := words("by", by); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.lever(); err != nil {
		return err
	}
	if l.stopped == nil {
		return errors.New("resume: blocking is not stopped")
	}
	if path := l.stopFile(); path != "" {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("resume: %w", err)
		}
	}
	l.resume(by)
	return l.settleStop()
}

func (l *Ledger) resume(by string) {
	l.stopped, l.byFile = nil, false
	l.write(Line{Event: LineResumed, By: by})
	l.log.Warn("blocking is resumed", "by", by)
}

func (l *Ledger) stopFile() string {
	if l.cfg.Path == "" || l.cfg.Now == nil {
		return "" // a replay is nobody's to stop
	}
	return filepath.Join(l.dir(), StopFile)
}

// lookForFile stops or resumes as the file says. Where it cannot be told
// whether it is there, nothing changes.
func (l *Ledger) lookForFile() {
	path := l.stopFile()
	if path == "" {
		return
	}
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		l.byFile = true
		if l.stopped != nil {
			l.noteFile()
		} else {
			l.stop("file "+StopFile, firstLine(path))
		}
	case errors.Is(err, fs.ErrNotExist) && l.byFile && l.stopped != nil:
		l.resume("file " + StopFile + " is gone")
	}
}

// firstLine returns what a person wrote into the file.
func firstLine(path string) string {
	none := "the file " + StopFile + " is there"
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return none
	}
	f, err := os.Open(path)
	if err != nil {
		return none
	}
	defer f.Close()
	s := bufio.NewScanner(io.LimitReader(f, maxWords))
	if !s.Scan() || s.Text() == "" {
		return none
	}
	return s.Text()
}
