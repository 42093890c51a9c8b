package ingest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"weir/event"
)

// maxMembers is how many members an object may have.
const maxMembers = 256

// The reasons of the JSON formats.
var (
	errJSON          = &Malformed{"json"}
	errJSONDepth     = &Malformed{"json deeper than 8"}
	errJSONMembers   = &Malformed{"json object of more than 256 members"}
	errJSONDuplicate = &Malformed{"duplicate key"}
	errJSONTrailing  = &Malformed{"text behind the json object"}
)

// newJSON reads lines that are one JSON object each, whose keys are as the
// configuration says. Without a field map it knows the keys that the usual
// servers write.
func newJSON(cfg Config) (Decoder, error) {
	if len(cfg.Fields) == 0 {
		return newJSONWith(cfg, anyKeys())
	}
	if cfg.Fields["ip"] == "" && cfg.Fields["peer"] == "" {
		return nil, errors.New("fields: names neither ip nor peer, and the client address must come from a key that you name")
	}
	return newJSONWith(cfg, timeKeys())
}

// newNginxJSON reads what an nginx log_format with escape=json writes, keys
// named as nginx names its variables.
func newNginxJSON(cfg Config) (Decoder, error) { return newJSONWith(cfg, nginxKeys()) }

// newCaddy reads Caddy's access log.
func newCaddy(cfg Config) (Decoder, error) { return newJSONWith(cfg, caddyKeys()) }

// newTraefik reads Traefik's access log in its JSON format.
func newTraefik(cfg Config) (Decoder, error) { return newJSONWith(cfg, traefikKeys()) }

// newCloudflare reads Cloudflare Logpush's http_requests.
func newCloudflare(cfg Config) (Decoder, error) { return newJSONWith(cfg, cloudflareKeys()) }

// newJSONWith makes a decoder of the ready keys and the operator's.
func newJSONWith(cfg Config, ready jsonFields) (Decoder, error) {
	if cfg.Time.Field != "" {
		if cfg.Fields["time"] != "" {
			return nil, errors.New("time: field: fields names the time too")
		}
		if err := checkPath(cfg.Time.Field); err != nil {
			return nil, fmt.Errorf("time: field: %w", err)
		}
		ready[jsonSlot(event.FieldTime)] = []jsonKey{{path: cfg.Time.Field}}
	}
	root, err := jsonTree(ready, cfg.Fields, cfg.Extras)
	if err != nil {
		return nil, err
	}
	d := &jsonDecoder{root: root, layout: cfg.Time.Layout, key: cfg.Key}
	return d.decode, nil
}

// jsonDecoder reads one format of JSON lines. What it learns of the order of
// keys makes it faster and changes nothing else.
type jsonDecoder struct {
	root   *jsonNode
	layout string
	key    *event.Key
	plans  atomic.Pointer[jsonPlans]
	misses atomic.Uint64 // lines that held keys where no plan had them
}

// decode is the Decoder.
func (d *jsonDecoder) decode(line []byte, ev *event.Event, mem *event.Arena) error {
	if len(line) > MaxLine {
		return ErrTooLong
	}
	line = line[jsonSpace(line, 0):]
	s := jsonScan{b: line, layout: d.layout, ev: ev, out: fields{mem: mem, key: d.key}}
	plans := d.plans.Load()
	if err := s.line(d.root, plans.choose(line)); err != nil {
		return err
	}
	if err := s.finish(); err != nil {
		return err
	}
	if s.missed {
		d.learn(line, plans)
	}
	return nil
}

// line walks the whole of a line.
func (s *jsonScan) line(root *jsonNode, plan *jsonPlan) error {
	if len(s.b) == 0 {
		return errEmpty
	}
	end := s.object(0, root, 1, plan)
	if end < 0 {
		return s.err
	}
	if jsonSpace(s.b, end) != len(s.b) {
		return errJSONTrailing
	}
	return nil
}
