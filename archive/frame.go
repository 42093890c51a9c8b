package archive

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/klauspost/compress/s2"

	"weir/event"
	"weir/ingest"
	"weir/state"
)

// frameVersion is the format version of the records of a spool.
const frameVersion = 1

const (
	// frameEvents is how many events one frame holds at most.
	frameEvents = 8192
	// frameBytes is about how large the body of a frame with more than one event
	// may be before compression; maxBody is how large one may be at all.
	frameBytes = 4 << 20
	maxBody    = 8 << 20
)

// What a record of a spool says.
const (
	recordFrame = iota // events
	recordVoid         // events of a partition from an offset on do not count
	recordGap          // events of a partition between offsets are missing
)

// head is what stands before a frame's body. A record that voids or a gap has
// no body; its offsets are First and Last (not included in a gap).
type head struct {
	Record      uint64
	Partition   int32
	Events      int
	First, Last int64 // offsets
	Max         int64 // the largest time
	Columns     uint64
	Raw         int // bytes of the body before compression
	Body        int // bytes of the body's record
}

// appendHead appends the head's record.
func (h *head) append(dst []byte) []byte {
	dst, start := state.BeginRecord(dst)
	w := state.Writer{B: dst}
	w.Uint(h.Record)
	w.Int(int64(h.Partition))
	w.Uint(uint64(h.Events))
	w.Int(h.First)
	w.Int(h.Last)
	w.Int(h.Max)
	w.Uint(h.Columns)
	w.Uint(uint64(h.Raw))
	w.Uint(uint64(h.Body))
	state.EndRecord(w.B, start, frameVersion)
	return w.B
}

// readHead takes a head off b.
func readHead(b []byte) (h head, rest []byte, err error) {
	body, rest, err := state.ReadRecord(b, frameVersion)
	if err != nil {
		return h, b, fmt.Errorf("frame: %w", err)
	}
	r := state.Reader{B: body}
	h.Record = r.Uint()
	partition, events := r.Int(), r.Uint()
	h.First, h.Last, h.Max, h.Columns = r.Int(), r.Int(), r.Int(), r.Uint()
	raw, stored := r.Uint(), r.Uint()
	switch {
	case r.Err != nil:
		return h, b, fmt.Errorf("frame: %w", r.Err)
	case len(r.B) > 0 || h.Record > recordGap || partition < 0 || partition > maxPartition ||
		events > frameEvents || raw > maxBody || stored > maxBody+1024 ||
		h.Columns>>len(columns) != 0 || h.First > h.Last ||
		(h.Record == recordFrame) != (events > 0) || (h.Record == recordFrame) != (stored > 0):
		return h, b, fmt.Errorf("frame: %w: a head of record %d with %d events and %d bytes", state.ErrCorrupt, h.Record, events, stored)
	}
	h.Partition, h.Events, h.Raw, h.Body = int32(partition), int(events), int(raw), int(stored)
	return h, rest, nil
}

// piece is an encoded frame that waits for its place in a spool.
type piece struct {
	head
	bytes []byte // head and body
}

// encoder makes frames of events. It is used by one goroutine at a time.
type encoder struct {
	raw   []byte
	dict  []string
	index []uint16
	table []uint16 // open addressing: number in dict, and one
	addrs []byte
	out   []byte
}

var textSeed = maphash.MakeSeed() // attackers choose texts

// encode appends the frame of events, of one partition, to dst. appended are
// their append times, or nil.
func (e *encoder) encode(dst []byte, h head, events []event.Event, appended []int64) ([]byte, head) {
	n := len(events)
	h.Record, h.Events, h.Columns = recordFrame, n, 0
	h.First, h.Last = events[0].Offset, events[n-1].Offset
	e.raw = e.raw[:0]
	for c := range columns {
		col := &columns[c]
		var there bool
		switch {
		case c == colAppended:
			there = len(appended) > 0
			if there {
				e.longs(n, func(i int) int64 { return appended[i] })
			}
		case col.kind == textColumn:
			there = e.texts(events, col.text)
		case col.kind == addrColumn:
			there = e.addresses(events, c == colPeer)
		default:
			there = e.numbers(events, col)
		}
		if there {
			h.Columns |= 1 << c
		}
	}
	h.Raw = len(e.raw)
	at := len(dst)
	dst, start := state.BeginRecord(dst)
	dst = slices.Grow(dst, s2.MaxEncodedLen(len(e.raw)))
	dst = dst[:len(dst)+len(s2.Encode(dst[len(dst):cap(dst)], e.raw))]
	state.EndRecord(dst, start, frameVersion)
	h.Body = len(dst) - at
	// The head says how long the body is and stands before it.
	grown := h.append(dst)
	size := len(grown) - len(dst)
	var mine [256]byte
	copied := append(mine[:0], grown[len(dst):]...)
	copy(grown[at+size:], grown[at:len(dst)])
	copy(grown[at:], copied)
	return grown, h
}

// numbers appends a column of integers, unless none of them is there.
func (e *encoder) numbers(events []event.Event, col *column) bool {
	there := false
	load := col.load
	for i := range events {
		if load(&events[i]) != col.absent {
			there = true
			break
		}
	}
	if there {
		e.longs(len(events), func(i int) int64 { return load(&events[i]) })
	}
	return there
}

// How a column of integers is written.
const (
	longsEqual = iota // one for all
	longsDelta        // each as the difference to the one before
)

func (e *encoder) longs(n int, at func(int) int64) {
	first := at(0)
	mark := len(e.raw)
	e.raw = binary.AppendVarint(append(e.raw, longsDelta), first)
	equal := true
	before := first
	for i := 1; i < n; i++ {
		v := at(i)
		equal = equal && v == first
		e.raw = binary.AppendVarint(e.raw, v-before) // wraps, and back when it is read
		before = v
	}
	if equal {
		e.raw = binary.AppendVarint(append(e.raw[:mark], longsEqual), first)
	}
}

// begin empties the dictionary for a column of n values.
func (e *encoder) begin(n int) {
	size := 1 << bits.Len(uint(2*n))
	if cap(e.table) < size {
		e.table = make([]uint16, size)
	}
	e.table = e.table[:size]
	clear(e.table)
	e.dict, e.index = e.dict[:0], e.index[:0]
}

// number returns the number of a text in the dictionary.
func (e *encoder) number(s string) uint16 {
	mask := uint64(len(e.table) - 1)
	for at := maphash.String(textSeed, s) & mask; ; at = (at + 1) & mask {
		k := e.table[at]
		if k == 0 {
			e.dict = append(e.dict, s)
			e.table[at] = uint16(len(e.dict))
			return uint16(len(e.dict) - 1)
		}
		if e.dict[k-1] == s {
			return k - 1
		}
	}
}

// texts appends a column of texts, unless all are empty.
func (e *encoder) texts(events []event.Event, at func(*event.Event) *string) bool {
	first := 0
	for first < len(events) && *at(&events[first]) == "" {
		first++
	}
	if first == len(events) {
		return false
	}
	e.begin(len(events))
	before, k := "", uint16(0)
	for i := range events {
		if s := *at(&events[i]); s != before || i == 0 {
			before, k = s, e.number(s)
		}
		e.index = append(e.index, k)
	}
	e.dictionary()
	return true
}

// addresses appends the addresses of the clients, or of the peers, as texts.
func (e *encoder) addresses(events []event.Event, peer bool) bool {
	e.begin(len(events))
	e.addrs = e.addrs[:0]
	if cap(e.addrs) < 16*len(events) {
		e.addrs = make([]byte, 0, 16*len(events))
	}
	var before netip.Addr
	k := uint16(0)
	for i := range events {
		a := events[i].IP
		if peer {
			a = events[i].Peer
		}
		if a != before || i == 0 {
			before = a
			at := len(e.addrs)
			e.addrs = appendAddr(e.addrs, a)
			k = e.number(event.View(e.addrs[at:]))
		}
		e.index = append(e.index, k)
	}
	if len(e.dict) == 1 && e.dict[0] == "" {
		return false
	}
	e.dictionary()
	return true
}

// appendAddr appends an address: nothing, 4 or 16 bytes. An address from a log
// has no zone.
func appendAddr(dst []byte, a netip.Addr) []byte {
	switch {
	case !a.IsValid():
		return dst
	case a.Is4():
		b := a.As4()
		return append(dst, b[:]...)
	}
	b := a.As16()
	return append(dst, b[:]...)
}

// addrOf returns the address that appendAddr wrote; ok is false for another
// number of bytes.
func addrOf(s string) (a netip.Addr, ok bool) {
	switch len(s) {
	case 0:
		return a, true
	case 4:
		return netip.AddrFrom4([4]byte([]byte(s))), true
	case 16:
		return netip.AddrFrom16([16]byte([]byte(s))), true
	}
	return a, false
}

// dictionary writes a column's dictionary, and which of it each value is.
func (e *encoder) dictionary() {
	n := uint64(len(e.dict))
	distinct := n == uint64(len(e.index)) // then they are in order
	e.raw = binary.AppendUvarint(e.raw, n<<1|uint64(number(distinct)))
	for _, s := range e.dict {
		e.raw = binary.AppendUvarint(e.raw, uint64(len(s)))
	}
	for _, s := range e.dict {
		e.raw = append(e.raw, s...)
	}
	switch {
	case n == 1 || distinct:
	case n <= 256:
		for _, k := range e.index {
			e.raw = append(e.raw, byte(k))
		}
	default:
		for _, k := range e.index {
			e.raw = binary.LittleEndian.AppendUint16(e.raw, k)
		}
	}
}

// hasAppend reports whether any event has an append time.
func hasAppend(appended []int64) bool {
	for _, t := range appended {
		if t != ingest.NoAppend {
			return true
		}
	}
	return false
}
