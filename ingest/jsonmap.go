package ingest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/event"
)

// A field map says under which keys a log keeps what. Compiled, it is a tree
// of the keys that matter, so that one walk over a line fills an event.

// jsonSlot is what a value is for: an event field, or one of those below.
type jsonSlot uint8

const (
	jsonPeer      = jsonSlot(event.NumFields) + iota // who connected, where that is not the client
	jsonForwarded                                    // X-Forwarded-For or Forwarded
	jsonURI                                          // path and query
	jsonRequest                                      // METHOD uri PROTOCOL
	jsonLastPath                                     // the path as the server rewrote it: of use where nothing else says it
	jsonLastQuery                                    // likewise its query
	jsonWrapped                                      // the line inside a shipper's envelope
	numJSONSlots
)

// jsonBind is one use of a key: the slot that it fills, its rank among the
// keys for that slot (the lowest that holds a value wins), and what a number's
// unit is.
type jsonBind struct {
	slot jsonSlot
	rank uint8
	// scale is the power of ten that turns a duration into microseconds.
	scale int8
}

// jsonNode is one key that matters: what it fills and, if it may hold an
// object, the keys inside. Nodes of the same dotted path share their id,
// however the path is spelled: {"a":{"b":1}} or {"a.b":1}.
type jsonNode struct {
	name  string
	id    uint16
	joins bool // of an array all elements count, not only the first
	binds []jsonBind
	kids  *jsonKeys
}

// The limits of a field map.
const (
	maxNodes   = 512
	maxKeyName = 128
)

// jsonKeys finds a node by its key.
type jsonKeys struct {
	buckets [64][]*jsonNode
}

// jsonBucket spreads keys by their length and three of their bytes. It need not
// be secret: the keys in a bucket come from the configuration alone.
func jsonBucket[S string | []byte](key S) uint {
	n := len(key)
	if n == 0 {
		return 0
	}
	return (uint(n)*37 + uint(key[0])*5 + uint(key[n/2])*11 + uint(key[n-1])) % 64
}

// find returns the node of a key, or nil.
func (k *jsonKeys) find(key []byte) *jsonNode {
	if k == nil {
		return nil
	}
	for _, n := range k.buckets[jsonBucket(key)] {
		if n.name == string(key) {
			return n
		}
	}
	return nil
}

// jsonKey is one key path in a field map: dotted, with the unit of a duration.
type jsonKey struct {
	path  string
	scale int8
}

// jsonFields says for each slot which keys may fill it, the preferred first.
type jsonFields map[jsonSlot][]jsonKey

// jsonNames are the names that a field map may use besides those of fields.
var jsonNames = map[string]jsonSlot{
	"peer": jsonPeer, "forwarded": jsonForwarded, "uri": jsonURI, "path": jsonURI, "request": jsonRequest,
	"duration_ms": jsonSlot(event.FieldDuration), "duration_us": jsonSlot(event.FieldDuration), "duration_ns": jsonSlot(event.FieldDuration),
}

// The powers of ten that turn durations into microseconds.
const (
	inSeconds = 6
	inMillis  = 3
	inMicros  = 0
	inNanos   = -3
)

// jsonScale returns the unit that a field's name says.
func jsonScale(name string) int8 {
	switch name {
	case "duration_ms":
		return inMillis
	case "duration_us":
		return inMicros
	case "duration_ns":
		return inNanos
	}
	return inSeconds
}

// jsonSlotOf returns the slot of a name in a field map.
func jsonSlotOf(name string, extras event.Extras) (jsonSlot, error) {
	if s, ok := jsonNames[name]; ok {
		return s, nil
	}
	kept, err := slotFor(name, Config{Extras: extras})
	switch {
	case err != nil:
		return 0, fmt.Errorf("fields: %w", err)
	case kept.kind == slotSkip:
		return 0, fmt.Errorf("fields: %s is no field", name)
	case kept.kind == slotText:
		return jsonSlot(kept.field), nil
	}
	return jsonSlot(event.FieldByName(name)), nil
}

// jsonTree compiles ready, whose lists are in order of preference, and over it
// the operator's own fields, each of which replaces the ready ones.
func jsonTree(ready jsonFields, own map[string]string, extras event.Extras) (*jsonNode, error) {
	keys := maps.Clone(ready)
	var errs []error
	given := map[jsonSlot]string{}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		slot, err := jsonSlotOf(name, extras)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if other, ok := given[slot]; ok {
			errs = append(errs, fmt.Errorf("fields: %s and %s are the same field", other, name))
			continue
		}
		given[slot] = name
		if err := checkPath(own[name]); err != nil {
			errs = append(errs, fmt.Errorf("fields: %s: %w", name, err))
			continue
		}
		keys[slot] = []jsonKey{{own[name], jsonScale(name)}}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	t := treeBuilder{ids: map[string]uint16{}}
	root := &jsonNode{}
	for _, slot := range slices.Sorted(maps.Keys(keys)) {
		for rank, k := range keys[slot] {
			t.add(root, "", k.path, jsonBind{slot, uint8(rank), k.scale})
		}
	}
	if len(t.ids) > maxNodes {
		return nil, fmt.Errorf("fields: %d different keys, must be at most %d", len(t.ids), maxNodes)
	}
	return root, nil
}

// checkPath says what is wrong with a key path.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("empty key")
	case len(path) > maxKeyName:
		return fmt.Errorf("key of %d bytes, must be at most %d", len(path), maxKeyName)
	case strings.Count(path, ".") >= MaxDepth:
		return fmt.Errorf("%s: %d levels, must be at most %d", path, strings.Count(path, ".")+1, MaxDepth)
	}
	return nil
}

// treeBuilder adds paths to a tree and numbers them.
type treeBuilder struct{ ids map[string]uint16 }

// add binds rest below n, which stands for the path before it: as one key, and
// split at each of its dots.
func (t treeBuilder) add(n *jsonNode, before, rest string, bind jsonBind) {
	for i := 0; i <= len(rest); i++ {
		if i < len(rest) && rest[i] != '.' {
			continue
		}
		kid := t.kid(n, rest[:i], before+rest[:i])
		if i == len(rest) {
			kid.binds = append(kid.binds, bind)
			kid.joins = kid.joins || bind.slot == jsonForwarded || bind.slot == jsonSlot(event.FieldRefused)
		} else {
			t.add(kid, before+rest[:i+1], rest[i+1:], bind)
		}
	}
}

// kid returns n's child of that name, which it makes if there is none.
func (t treeBuilder) kid(n *jsonNode, name, path string) *jsonNode {
	if n.kids == nil {
		n.kids = &jsonKeys{}
	}
	if kid := n.kids.find([]byte(name)); kid != nil {
		return kid
	}
	id, ok := t.ids[path]
	if !ok {
		id = uint16(len(t.ids))
		t.ids[path] = id
	}
	kid := &jsonNode{name: name, id: id}
	bucket := &n.kids.buckets[jsonBucket(name)]
	*bucket = append(*bucket, kid)
	return kid
}
