package pipeline

import (
	"runtime/metrics"
	"time"
)

// Usage is what a process takes in memory, as its last collection found it, in bytes.
type Usage struct {
	Collections uint64 // so far
	Live        int64  // of the heap, what was in use then
	Besides     int64  // stacks, what the runtime keeps for itself, and holes between what is in use
}

// ProcessUsage reads what this process takes.
func ProcessUsage() Usage {
	s := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(s)
	n := func(i int) int64 { return int64(s[i].Value.Uint64()) }
	return Usage{Collections: s[0].Value.Uint64(), Live: n(1), Besides: n(2) - n(3) - n(4) - n(5)}
}

const (
	// collected is the part of state.memory that the collector keeps a process
	// within, and spare what of it must be left for what it has not collected yet:
	// with less it does nothing else.
	collected = 9. / 10
	spare     = 1. / 6

	// What may be resident moves between these parts of what is guessed, so that
	// there is always room for the keys of some seconds.
	leastOfGuess, mostOfGuess = 1. / 2, 3. / 2

	// askUsage is how often it is asked, and forgetUsage how many answers it takes
	// until most of a peak is forgotten: tables of the store come and go.
	askUsage    = 20 * time.Millisecond
	forgetUsage = 32
)

// measure says how many bytes of keys may be resident beside what else a process
// turns out to hold. Keys that make room come back when they are touched, so no
// result depends on it.
type measure struct {
	ask     func() Usage // nil: it is guessed
	memory  int64
	guess   int64
	asked   time.Time
	seen    uint64  // collections
	besides float64 // about the most that everything but keys took lately; 0: not known
}

func newMeasure(cfg *Config) measure {
	return measure{ask: cfg.Usage, memory: cfg.Memory, guess: cfg.budget().resident}
}

// look returns how much may be resident, where that is known anew: so much is. What
// a store is going to take cannot be seen before there is one.
func (m *measure) look(now time.Time, resident int64, stored bool) (most int64, ok bool) {
	if m.ask == nil || m.memory == 0 || now.Sub(m.asked) < askUsage {
		return 0, false
	}
	m.asked = now
	u := m.ask()
	if u.Collections == m.seen {
		return 0, false
	}
	m.seen = u.Collections
	besides := float64(max(0, u.Live-resident) + u.Besides)
	if m.besides > besides {
		besides = m.besides - (m.besides-besides)/forgetUsage
	}
	m.besides = besides
	room := (collected-spare)*float64(m.memory) - besides
	guess := float64(m.guess)
	above := mostOfGuess * guess
	if !stored {
		above = guess
	}
	return int64(min(max(room, leastOfGuess*guess), above)), true
}
