package torture

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// followed is a log in a file, which is rotated now and then.
type followed struct {
	source    string
	partition int32
	path      string
	every     time.Duration // it is rotated; 0: never
	rng       *rand.Rand

	file    *os.File
	offset  int64 // of the next line, over all rotations
	rotated time.Time
	number  int // rotations
	buf     []byte
}

func newFollowed(source string, partition int32, path string, every time.Duration) (*followed, error) {
	l := &followed{source: source, partition: partition, path: path, every: every, rng: rand.New(rand.NewPCG(7, uint64(partition))), rotated: time.Now()}
	return l, l.open()
}

func (l *followed) open() (err error) {
	l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return err
}

func (l *followed) name() (string, int32) { return l.source, l.partition }

// write appends lines. What a reader sees may end within one of them.
func (l *followed) write(rs []*request) error {
	if l.every > 0 && time.Since(l.rotated) >= l.every {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	l.buf = l.buf[:0]
	for _, r := range rs {
		r.offset = l.offset + int64(len(l.buf))
		l.buf = r.line(l.buf)
	}
	l.offset += int64(len(l.buf))
	cut := l.rng.IntN(len(l.buf))
	for _, part := range [][]byte{l.buf[:cut], l.buf[cut:]} {
		if _, err := l.file.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// rotate puts the file aside, as logrotate does with dateext.
func (l *followed) rotate() error {
	l.number++
	l.rotated = time.Now()
	aside := fmt.Sprintf("%s-20260306%06d", l.path, l.number%60+l.number/60*100)
	return errors.Join(l.file.Close(), os.Rename(l.path, aside), l.open())
}

func (l *followed) flush() error { return nil }

func (l *followed) close() error { return l.file.Close() }
