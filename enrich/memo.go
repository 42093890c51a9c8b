package enrich

import "weir/event"

// ways is how many slots of a memo a text may be in.
const ways = 4

// memo is a cache of fixed size. The slots that a text may be in go to new
// texts in turn. Texts are held whole, so that an answer is always that text's
// own. A slot owns its bytes; memory is the same whatever an attacker writes,
// and a new text every time costs the work that the memo would have saved.
type memo[V any] struct {
	key    *event.Key
	stride int // the longest text that is kept
	marks  []mark
	texts  []byte
	values []V
}

// mark tells most slots apart without looking at their texts.
type mark struct {
	hash uint32
	size uint16 // of the text; 0: empty
	turn uint8  // in the first of a set: which one goes next
}

// newMemo makes a cache of slots (a power of two) texts.
func newMemo[V any](key *event.Key, slots, stride int) *memo[V] {
	return &memo[V]{key: key, stride: stride, marks: make([]mark, slots), texts: make([]byte, slots*stride), values: make([]V, slots)}
}

// slot returns where the value of a text is kept. Unless it is known, the
// caller fills it in before the next call; a text that is too long gets nil.
func (m *memo[V]) slot(text []byte) (v *V, known bool) {
	if len(text) > m.stride || len(text) == 0 {
		return nil, false
	}
	h := m.key.Hash(text)
	first := int(h) & (len(m.marks) - 1) &^ (ways - 1)
	set := m.marks[first : first+ways : first+ways]
	for i, k := range set {
		if k.hash == uint32(h>>32) && string(m.text(first+i)) == string(text) {
			return &m.values[first+i], true
		}
	}
	i := int(set[0].turn)
	set[0].turn = uint8(i+1) % ways
	set[i].hash, set[i].size = uint32(h>>32), uint16(len(text))
	copy(m.text(first+i), text)
	return &m.values[first+i], false
}

func (m *memo[V]) text(i int) []byte { return m.texts[i*m.stride:][:m.marks[i].size] }

// interner gives equal texts one string. It is a cache as well: what was
// pushed out gets a new string the next time.
type interner struct {
	key  *event.Key
	held []string
}

func (n *interner) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	i := int(n.key.Hash(b)) & (len(n.held) - 1)
	if n.held[i] != string(b) {
		n.held[i] = string(b)
	}
	return n.held[i]
}
