package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"weir/ingest"
	"weir/internal/testkit"
)

// loop is a source of one partition that hands out the lines of a file over and
// over, each time with later times, so that a run may last longer than the disk
// is large. The file is mapped, so that its lines are no part of the heap. Each
// second it also hands out a line of an address of its own, whose decision says
// when the second's tick ran.
type loop struct {
	data    []byte
	ends    []int // of each line
	seconds []int64
	span    int64 // seconds of one pass

	until  int64         // lines of the whole run
	pace   float64       // lines a second; 0: as fast as they are taken
	stopAt time.Duration // the run also ends after so long; 0: only with its lines

	began  time.Time
	took   time.Duration // until its end was read
	used   time.Duration // of all processors until then, since began
	cpu    time.Duration // at began
	next   int64         // line
	second int64         // the one that was handed out last
	stamp  []byte
	probe  []byte

	mu  sync.Mutex
	due map[int64]time.Time // by second: when its first line was due
}

const (
	stampAt     = len(`{"time_iso8601":"`)
	stampLayout = "2006-01-02T15:04:05"
	probePath   = "/probe-of-the-bench"
)

// openLoop makes a log of a density and maps it.
func openLoop(path string, lines int, density float64) (*loop, error) {
	if _, err := generate(path, testkit.NginxJSON, lines, density); err != nil {
		return nil, err
	}
	return mapLoop(path)
}

// mapLoop maps a log.
func mapLoop(path string) (l *loop, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("%s: no line", path)
	}
	l = &loop{}
	if l.data, err = syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("mmap %s: %w", path, err)
	}
	for at := 0; at < len(l.data); {
		length := bytes.IndexByte(l.data[at:], '\n')
		if length < 0 {
			return nil, fmt.Errorf("%s: the last line has no end", path)
		}
		end := at + length
		second, err := time.Parse(stampLayout, string(l.data[at+stampAt:at+stampAt+len(stampLayout)]))
		if err != nil {
			return nil, err
		}
		l.ends = append(l.ends, end)
		l.seconds = append(l.seconds, second.Unix())
		at = end + 1
	}
	l.span = slices.Max(l.seconds) - slices.Min(l.seconds) + 1
	return l, nil
}

func (l *loop) close() error { return syscall.Munmap(l.data) }

// again returns a source that begins at the first line: so many lines, at a pace.
func (l *loop) again(until int64, pace float64, stopAt time.Duration) *loop {
	return &loop{
		data: l.data, ends: l.ends, seconds: l.seconds, span: l.span,
		until: until, pace: pace, stopAt: stopAt, began: time.Now(), cpu: cpuTime(), due: map[int64]time.Time{},
	}
}

func (l *loop) Name() string    { return "bench" }
func (l *loop) Partitions() int { return 1 }
func (l *loop) Close() error    { return nil }

// dueAt returns when a line is due.
func (l *loop) dueAt(line int64) time.Time {
	if l.pace == 0 {
		return time.Now()
	}
	return l.began.Add(time.Duration(float64(line) / l.pace * 1e9))
}

func (l *loop) Read(ctx context.Context, _ int, most int, r *ingest.Records) error {
	if l.next >= l.until || l.stopAt > 0 && time.Since(l.began) > l.stopAt {
		l.took, l.used = time.Since(l.began), cpuTime()-l.cpu
		return io.EOF
	}
	n := min(int64(most), l.until-l.next)
	if l.pace > 0 {
		for {
			if ready := int64(time.Since(l.began).Seconds()*l.pace) - l.next; ready >= min(n, 64) {
				n = min(n, ready)
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(500 * time.Microsecond):
			}
		}
	}
	for range n {
		l.line(r)
	}
	return nil
}

// line appends the next line to r, and the second's probe in front of its first.
func (l *loop) line(r *ingest.Records) {
	pass, i := l.next/int64(len(l.ends)), l.next%int64(len(l.ends))
	second := l.seconds[i] + pass*l.span
	if second != l.second {
		l.second = second
		l.stamp = time.Unix(second, 0).UTC().AppendFormat(l.stamp[:0], stampLayout)
		l.probe = fmt.Appendf(l.probe[:0], `{"time_iso8601":"%s+00:00","remote_addr":"192.0.2.%d","host":"shop.example","request_method":"GET","request_uri":"%s","status":200}`,
			l.stamp, second%250, probePath)
		l.append(r, l.probe, l.next*2)
		l.mu.Lock()
		l.due[second] = l.dueAt(l.next)
		l.mu.Unlock()
	}
	begin := 0
	if i > 0 {
		begin = l.ends[i-1] + 1
	}
	at := len(r.Data)
	l.append(r, l.data[begin:l.ends[i]], l.next*2+1)
	copy(r.Data[at+stampAt:], l.stamp)
	l.next++
}

func (l *loop) append(r *ingest.Records, line []byte, offset int64) {
	r.Starts = append(r.Starts, uint32(len(r.Data)))
	r.Data = append(r.Data, line...)
	r.Ends = append(r.Ends, uint32(len(r.Data)))
	r.Offsets = append(r.Offsets, offset)
}

// dueOf returns when the first line of a second was due, and forgets those before.
func (l *loop) dueOf(second int64) (at time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok = l.due[second]
	for s := range l.due {
		if s < second {
			delete(l.due, s)
		}
	}
	return at, ok
}

var errNoProbe = errors.New("no decision about a probe was made, so this shows nothing")
