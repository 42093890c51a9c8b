package ingest

import "slices"

// Unread collects the names of the keys in JSON lines that a format does not
// read. It keeps no values, and of names no more than maxUnread.
type Unread struct {
	root  *jsonNode
	names []string // as they first came
	more  bool
}

// maxUnread is how many names are kept, each of at most maxKeyName bytes.
const maxUnread = 64

// readyKeys are the keys that the formats know by themselves.
var readyKeys = map[string]func() jsonFields{
	"json": anyKeys, "nginx-json": nginxKeys, "caddy": caddyKeys, "traefik": traefikKeys, "cloudflare": cloudflareKeys,
}

// NewUnread returns nil where lines of the format are not objects, or stand in
// an envelope.
func NewUnread(cfg Config) *Unread {
	ready := readyKeys[cfg.name()]
	if ready == nil || cfg.Unwrap != "" {
		return nil
	}
	keys := ready()
	if cfg.Format == "json" && len(cfg.Fields) > 0 {
		keys = timeKeys() // a field map leaves nothing to be guessed
	}
	if cfg.Time.Field != "" {
		keys.fill(jsonWrapped, 0, cfg.Time.Field) // whatever it is for, it is read
	}
	root, err := jsonTree(keys, cfg.Fields, cfg.Extras)
	if err != nil {
		return nil // nor is there a decoder
	}
	return &Unread{root: root, names: []string{}}
}

// Add looks at a line that was decoded.
func (u *Unread) Add(line []byte) { u.object(line, jsonSpace(line, 0), u.root, "") }

// object looks at the members of the object at i. In one that a format reads a
// part of, those are looked at too; deeper down stand the headers of requests,
// whose names clients choose.
func (u *Unread) object(b []byte, i int, n *jsonNode, above string) {
	for first := true; ; first = false {
		from, to, value, escaped, done := jsonMember(b, i, first)
		if done || value < 0 {
			return
		}
		key := b[from:to]
		switch kid := n.kids.lookup(key, escaped); {
		case kid == nil:
			u.add(above, key)
		case above == "" && len(kid.binds) == 0 && value < len(b) && b[value] == '{':
			u.object(b, value, kid, string(key)+".")
		}
		if i, _ = jsonSkip(b, value, 0); i < 0 {
			return
		}
	}
}

func (u *Unread) add(above string, key []byte) {
	if len(above)+len(key) > maxKeyName {
		u.more = true
		return
	}
	name := above + string(key)
	switch {
	case slices.Contains(u.names, name):
	case len(u.names) == maxUnread:
		u.more = true
	default:
		u.names = append(u.names, name)
	}
}

// Names returns the names in the order in which they came; more says that
// there are others.
func (u *Unread) Names() (names []string, more bool) { return u.names, u.more }
