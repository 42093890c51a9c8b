package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"weir/event"
)

// jsonOracle decodes lines by encoding/json's token stream: slow, plain, and
// with nothing of the scanner's.
type jsonOracle struct {
	fields jsonFields
	layout string
}

type oracleMember struct {
	key   string
	value any // []oracleMember, []any, string, json.Number, bool or nil
}

var errOracle = fmt.Errorf("rejected")

// Bytes that are not UTF-8 and halves of surrogate pairs, which encoding/json
// replaces, travel through it as runes of two private planes.
const (
	privateByte      = 0xF0000
	privateSurrogate = 0xF1000
)

// hide replaces in a line what encoding/json would lose.
func hide(line []byte) []byte {
	var out []byte
	for i := 0; i < len(line); {
		if line[i] == '\\' && i+1 < len(line) {
			if line[i+1] == 'u' && i+6 <= len(line) {
				if r := hexRune(line[i+2 : i+6]); r >= 0xD800 && r < 0xE000 {
					if i+12 <= len(line) && line[i+6] == '\\' && line[i+7] == 'u' {
						if low := hexRune(line[i+8 : i+12]); low >= 0 && utf16.DecodeRune(r, low) != utf8.RuneError {
							out = append(out, line[i:i+12]...)
							i += 12
							continue
						}
					}
					out = utf8.AppendRune(out, privateSurrogate+r-0xD800)
					i += 6
					continue
				}
			}
			// Of an escape only the backslash and what follows it, if that is ASCII.
			out = append(out, '\\')
			if i++; line[i] < utf8.RuneSelf {
				out = append(out, line[i])
				i++
			}
			continue
		}
		r, n := utf8.DecodeRune(line[i:])
		if r == utf8.RuneError && n == 1 {
			out = utf8.AppendRune(out, privateByte+rune(line[i]))
		} else {
			out = append(out, line[i:i+n]...)
		}
		i += n
	}
	return out
}

func hexRune(b []byte) rune {
	var r rune
	if _, err := fmt.Sscanf(string(b), "%04x", &r); err != nil || strings.Trim(string(b), "0123456789abcdefABCDEF") != "" {
		return -1
	}
	return r
}

// show undoes hide in a decoded string.
func show(s string) string {
	var out []byte
	for _, r := range s {
		switch {
		case r >= privateByte && r < privateByte+256:
			out = append(out, byte(r-privateByte))
		case r >= privateSurrogate && r < privateSurrogate+0x800:
			r += 0xD800 - privateSurrogate
			out = append(out, 0xE0|byte(r>>12), 0x80|byte(r>>6&0x3F), 0x80|byte(r&0x3F))
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return string(out)
}

// speaksPrivate reports whether a line holds runes that hide needs itself.
func speaksPrivate(line []byte) bool {
	low := bytes.ToLower(line)
	return bytes.Contains(line, []byte("\xf3\xb0")) || bytes.Contains(line, []byte("\xf3\xb1")) ||
		bytes.Contains(low, []byte(`\udb8`))
}

func oracleValue(dec *json.Decoder, depth int) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok := tok.(type) {
	case string:
		return show(tok), nil
	case json.Delim:
		if depth >= MaxDepth {
			return nil, errOracle
		}
		if tok == '[' {
			list := []any{}
			for dec.More() {
				v, err := oracleValue(dec, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := dec.Token()
			return list, err
		}
		obj := []oracleMember{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := oracleValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			obj = append(obj, oracleMember{show(key.(string)), v})
		}
		if len(obj) > maxMembers {
			return nil, errOracle
		}
		_, err := dec.Token()
		return obj, err
	}
	return tok, nil
}

// at returns every value at a dotted path, however it is spelled.
func at(v any, path string) (found []any) {
	obj, ok := v.([]oracleMember)
	if !ok {
		return nil
	}
	for _, m := range obj {
		if m.key == path {
			found = append(found, m.value)
		}
		if rest, ok := strings.CutPrefix(path, m.key+"."); ok {
			found = append(found, at(m.value, rest)...)
		}
	}
	return found
}

// text returns a scalar as text.
func oracleText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return fmt.Sprint(v)
	}
	return ""
}

// decode is what a decoder should do.
func (o jsonOracle) decode(line []byte, ev *event.Event, mem *event.Arena) error {
	hidden := hide(line)
	if len(line) > MaxLine || !json.Valid(hidden) {
		return errOracle
	}
	dec := json.NewDecoder(bytes.NewReader(hidden))
	dec.UseNumber()
	root, err := oracleValue(dec, 0)
	if err != nil {
		return err
	}
	if _, ok := root.([]oracleMember); !ok {
		return errOracle
	}
	used := map[string]bool{}
	for _, keys := range o.fields {
		for _, k := range keys {
			for i := range k.path + "." {
				if i == len(k.path) || k.path[i] == '.' {
					used[k.path[:i]] = true
				}
			}
		}
	}
	for path := range used {
		if len(at(root, path)) > 1 {
			return errOracle
		}
	}
	s := jsonScan{layout: o.layout, ev: ev, out: fields{mem: mem, key: event.FixedKey()}}
	for slot, keys := range o.fields {
		for rank, k := range keys {
			text := ""
			for _, v := range at(root, k.path) {
				list, ok := v.([]any)
				switch {
				case ok && (slot == jsonForwarded || slot == jsonSlot(event.FieldRefused)):
					var all []string
					for _, e := range list {
						if e, ok := e.(string); ok && (e != "" || len(all) > 0) {
							all = append(all, e)
						}
					}
					text = strings.Join(all, ",")
				case ok && len(list) > 0:
					text = oracleText(list[0])
				default:
					text = oracleText(v)
				}
			}
			if text != "" && text != "-" {
				s.best[slot] = uint8(rank) + 1
				s.set(&jsonBind{slot, uint8(rank), k.scale}, []byte(text))
				break
			}
		}
	}
	return s.finish()
}

// oracleFields are the field maps that the comparisons run.
func oracleFields() []jsonFields {
	own := jsonFields{}
	own.under(event.FieldTime, "t", "meta.time")
	own.under(event.FieldIP, "meta.addr.v4", "ip")
	own.fill(jsonForwarded, 0, "meta.xff")
	own.fill(jsonURI, 0, "uri")
	own.under(event.FieldCredential, "user", "meta.user.name")
	own.under(event.FieldAgent, "meta.user")
	own.under(event.FieldStatus, "status")
	own.under(event.FieldBytes, "status")
	own.under(event.FieldRefused, "waf")
	return []jsonFields{own, nginxKeys(), caddyKeys(), anyKeys()}
}

type oracleCase struct {
	root   *jsonNode
	oracle jsonOracle
}

func oracleCases(t testing.TB) []oracleCase {
	var cases []oracleCase
	for _, f := range oracleFields() {
		root, err := jsonTree(f, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, oracleCase{root, jsonOracle{fields: f}})
	}
	return cases
}

// agree holds the oracle, the general walk and the walk with a plan learned
// from one line and from the line itself against each other.
func (c oracleCase) agree(t testing.TB, learned, line []byte) (accepted bool) {
	if speaksPrivate(line) {
		return false
	}
	key := event.FixedKey()
	var mem event.Arena
	var want, got event.Event
	want.Reset()
	wantErr := c.oracle.decode(line, &want, &mem)
	check := func(how string, decode Decoder) {
		got.Reset()
		err := decode(line, &got, &mem)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%s: %v, want %v\nlearned %q\nline    %q", how, err, wantErr, learned, line)
		}
		if err == nil && got != want {
			t.Fatalf("%s:\ngot  %+v\nwant %+v\nlearned %q\nline    %q", how, got, want, learned, line)
		}
	}
	check("general", func(line []byte, ev *event.Event, mem *event.Arena) error {
		return decodeGeneral(c.root, "", key, line, ev, mem)
	})
	d := &jsonDecoder{root: c.root, key: key}
	got.Reset()
	_ = d.decode(learned, &got, &mem) // whatever comes of it
	check("plan", d.decode)
	check("own plan", d.decode)
	return wantErr == nil
}

var jsonSeeds = []string{
	`{"t":1772772550,"ip":"192.0.2.7","user":"ann","uri":"/login?next=%2F","status":200}`,
	`{"t":"1772772550.123","meta":{"addr":{"v4":"192.0.2.7"},"user":{"name":"ann"},"xff":["198.51.100.1","198.51.100.2"]},"waf":["log","block"]}`,
	`{"meta.time":"2026-03-06T04:49:10Z","meta":{"addr.v4":"192.0.2.7","user":"curl\/8 \u00e9\ud83d\ude00\ud800"},"status":"404","pad":[1,-2.5e+3,true,null,{"a":[]}]}`,
	` { "t" : 1772772550 , "\u0069p" : "192.0.2.7" , "x" : { } , "y" : [ ] } `,
	`{"time_iso8601":"2026-03-06T04:49:10+00:00","remote_addr":"192.0.2.7","request":"GET /a?b=c HTTP/1.1","status":"200","body_bytes_sent":"12","request_time":0.005,"http_user_agent":"a\\\"b","http_x_forwarded_for":"-"}`,
	`{"level":"info","ts":1772772550.25,"logger":"http.log.access","request":{"remote_ip":"192.0.2.7","remote_port":"5","client_ip":"198.51.100.9","proto":"HTTP/2.0","method":"POST","host":"shop.example","uri":"/login","headers":{"User-Agent":["x","y"],"X-Forwarded-For":["198.51.100.1, 198.51.100.2","198.51.100.3"]},"tls":{"version":772}},"duration":0.5e-3,"size":10,"status":200}`,
	`{"EdgeStartTimestamp":1772772550000000000,"ClientIP":"2001:db8::1","ClientRequestURI":"/","EdgeResponseStatus":403,"SecurityAction":"managed_challenge"}`,
	`{"t":1772772550,"ip":"192.0.2.7","IP":"192.0.2.8"}`,
	`{"t":1772772550,"ip":"192.0.2.7","ip":"192.0.2.8"}`,
}

// seedLines are jsonSeeds and the lines of the golden files.
func seedLines(t testing.TB) []string {
	lines := slices.Clone(jsonSeeds)
	for _, dir := range jsonDirs {
		files, err := filepath.Glob(filepath.Join("testdata", dir, "*.log"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no golden files in %s (%v)", dir, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")...)
		}
	}
	return lines
}

func FuzzJSON(f *testing.F) {
	seeds := seedLines(f)
	for i, s := range seeds {
		f.Add([]byte(seeds[(i+1)%len(seeds)]), []byte(s))
	}
	cases := oracleCases(f)
	f.Fuzz(func(t *testing.T, learned, line []byte) {
		if len(learned)+len(line) > 8<<10 {
			return // the oracle is slow, and longer lines say nothing new
		}
		for _, c := range cases {
			c.agree(t, learned, line)
		}
	})
}

// The pieces that mutants are made of.
var jsonPieces = []string{
	`"`, `\`, `\"`, `\\`, `\u0000`, `\ud800`, `\udc00`, `\uD83D\uDE00`, `\u00`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\t", "\n", "\x00", "\x80", "\xed\xa0\x80",
	`null`, `true`, `nul`, `0`, `01`, `-`, `1e999`, `1.`, `.5`, `-0`, `"ip":"203.0.113.9",`, `"t":1,`, `,"user":"eve"`, `"meta":{},`, `"meta.user":"x",`,
	`{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1}}}}}}}}`, `[[[[[[[[[]]]]]]]]]`, `""`, `é`,
}

func TestJSONAgreesWithTheOracleOnMutants(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	cases := oracleCases(t)
	seeds := seedLines(t)
	accepted, rejected := 0, 0
	for range 6_000 {
		learned := seeds[rng.IntN(len(seeds))]
		line := []byte(learned)
		if rng.IntN(2) == 0 {
			line = []byte(seeds[rng.IntN(len(seeds))])
		}
		for range rng.IntN(3) {
			p := rng.IntN(len(line) + 1)
			switch rng.IntN(4) {
			case 0:
				line = slices.Insert(line, p, []byte(jsonPieces[rng.IntN(len(jsonPieces))])...)
			case 1:
				line = line[:p]
			case 2:
				q := min(len(line), p+rng.IntN(12))
				line = slices.Delete(line, p, q)
			case 3:
				line = shuffleMembers(rng, line)
			}
		}
		for _, c := range cases {
			if c.agree(t, []byte(learned), line) {
				accepted++
			} else {
				rejected++
			}
		}
	}
	if accepted < 1000 || rejected < 1000 {
		t.Errorf("%d accepted and %d rejected show too little", accepted, rejected)
	}
}

// membersOf returns the members of a line's object as they stand.
func membersOf(line []byte) (members []string) {
	i := jsonSpace(line, 0)
	for {
		from, _, value, _, done := jsonMember(line, i, len(members) == 0)
		if done || value < 0 {
			return members
		}
		end, err := jsonSkip(line, value, 1)
		if err != nil {
			return members
		}
		members = append(members, string(line[from-1:end]))
		i = end
	}
}

// shuffleOrder reorders the members of a line's object.
func shuffleOrder(rng *rand.Rand, line []byte) []byte {
	members := membersOf(line)
	rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return []byte("{" + strings.Join(members, ",") + "}")
}

// shuffleMembers reorders the members of a line's object, or drops or repeats some.
func shuffleMembers(rng *rand.Rand, line []byte) []byte {
	members := membersOf(line)
	if len(members) == 0 {
		return line
	}
	switch rng.IntN(3) {
	case 0:
		return shuffleOrder(rng, line)
	case 1:
		p := rng.IntN(len(members))
		members = slices.Delete(members, p, p+rng.IntN(len(members)-p))
	case 2:
		members = append(members, members[rng.IntN(len(members))])
	}
	return []byte("{" + strings.Join(members, ",") + "}")
}
