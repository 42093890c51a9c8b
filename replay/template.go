package replay

import (
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"
)

// template is a value with places that differ from one repetition of a send to
// the next. What it expands to depends on the template and the number alone.
type template []part

type part struct {
	kind    partKind
	text    string       // of literal
	steps   []step       // of number and address: what is made of n
	plain   bool         // the steps are none: n itself
	choices []string     // of pick
	prefix  netip.Prefix // of address
	lo, hi  int64        // of random
	seed    uint64       // of random
}

type partKind uint8

const (
	literal partKind = iota
	number
	address
	pick
	random
)

// step is one operation on a number; they are done from left to right.
type step struct {
	op byte
	by int64
}

// templateWords are what a brace may begin with.
var templateWords = []string{"n", "ip", "pick", "rand"}

// template reads a value. Braces that are none of ours are text where open is
// set: an endpoint has its own, "GET /products/{id}".
func (l *line) template(value string, off int, open bool, seed uint64) template {
	var t template
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			t = append(t, part{kind: literal, text: text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(value); {
		c := value[i]
		switch {
		case (c == '{' || c == '}') && i+1 < len(value) && value[i+1] == c:
			text.WriteByte(c)
			i += 2
			continue
		case c != '{':
			text.WriteByte(c)
			i++
			continue
		}
		end := strings.IndexByte(value[i:], '}')
		if end < 0 {
			l.fail(off+i, "{ without } (write {{ for a brace)")
			return t
		}
		inner := value[i+1 : i+end]
		if first := firstWord(inner); open && !slices.Contains(templateWords, first) {
			text.WriteString(value[i : i+end+1])
		} else if p, ok := l.part(inner, off+i, seed+uint64(i)); ok {
			flush()
			t = append(t, p)
		}
		i += end + 1
	}
	flush()
	return t
}

// firstWord returns what stands in a brace before an operator or a space.
func firstWord(inner string) string {
	if i := strings.IndexAny(inner, " +-*/%"); i >= 0 {
		return inner[:i]
	}
	return inner
}

// part reads what stands between braces.
func (l *line) part(inner string, off int, seed uint64) (p part, ok bool) {
	rest := strings.TrimSpace(strings.TrimPrefix(inner, firstWord(inner)))
	switch firstWord(inner) {
	case "n":
		p.kind = number
		p.steps, ok = l.steps(inner, off)
		p.plain = len(p.steps) == 0
		return p, ok
	case "ip":
		return l.address(rest, off)
	case "pick":
		if p.choices = splitChoices(rest); len(p.choices) == 0 {
			l.fail(off, "{pick …} without anything to pick from, such as {pick a b c}")
			return p, false
		}
		p.kind = pick
		return p, true
	case "rand":
		from, to, cut := strings.Cut(rest, "-")
		lo, err1 := strconv.ParseInt(from, 10, 32)
		hi, err2 := strconv.ParseInt(to, 10, 32)
		if !cut || err1 != nil || err2 != nil || lo < 0 || hi < lo {
			l.fail(off, "{rand %s}, must be like {rand 1-100}", rest)
			return p, false
		}
		return part{kind: random, lo: lo, hi: hi, seed: xxh3.HashStringSeed(l.text, seed)}, true
	}
	l.fail(off, "unknown template {%s}; there are {n}, {n%%5}, {ip 198.18.0.0/15}, {pick a b c} and {rand 1-9} (write {{ for a brace)", inner)
	return p, false
}

// splitChoices splits at spaces; 'single quotes' hold a choice together.
func splitChoices(s string) (choices []string) {
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		end := strings.IndexByte(s, ' ')
		if s[0] == '\'' {
			if i := strings.IndexByte(s[1:], '\''); i >= 0 {
				choices, s = append(choices, s[1:i+1]), s[i+2:]
				continue
			}
		}
		if end < 0 {
			end = len(s)
		}
		choices, s = append(choices, s[:end]), s[end:]
	}
	return choices
}

// steps reads n and what is done to it: n/10%7.
func (l *line) steps(s string, off int) (steps []step, ok bool) {
	rest := strings.TrimPrefix(s, "n")
	for rest != "" {
		op := rest[0]
		end := 1
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		by, err := strconv.ParseInt(rest[1:end], 10, 32)
		if strings.IndexByte("+-*/%", op) < 0 || err != nil || by == 0 && (op == '/' || op == '%') || len(steps) >= 8 {
			l.fail(off, "{%s}, must be n and + - * / or %% with whole numbers, such as {n%%5} or {n/10+100}", s)
			return nil, false
		}
		steps = append(steps, step{op, by})
		rest = rest[end:]
	}
	return steps, true
}

func (l *line) address(rest string, off int) (p part, ok bool) {
	cidr, of, more := strings.Cut(rest, " ")
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		l.fail(off, "{ip %s}, must be a prefix, such as {ip 198.18.0.0/15}", rest)
		return p, false
	}
	p = part{kind: address, prefix: prefix.Masked(), plain: !more}
	if !more {
		return p, true
	}
	if of = strings.TrimSpace(of); !strings.HasPrefix(of, "n") {
		l.fail(off, "{ip %s}, behind the prefix there may be a number made of n, such as {ip 198.18.0.0/15 n%%50}", rest)
		return p, false
	}
	p.steps, ok = l.steps(of, off)
	return p, ok
}

// room returns how many different addresses the part has.
func (p *part) room() uint64 {
	b := p.hostBits()
	return 1 << b
}

// hostBits is how many bits of an address differ. Of IPv6 a client has its
// /64, so those before it differ, where the prefix leaves any.
func (p *part) hostBits() int {
	of := 32
	if p.prefix.Addr().Is6() {
		of = 128
		if p.prefix.Bits() < 64 {
			of = 64
		}
	}
	return min(of-p.prefix.Bits(), 62)
}

// constant reports whether the value is the same for every repetition.
func (t template) constant() bool { return len(t) == 0 || len(t) == 1 && t[0].kind == literal }

// append appends what the template is for repetition n, from 1.
func (t template) append(b []byte, n int64) []byte {
	for i := range t {
		switch p := &t[i]; p.kind {
		case literal:
			b = append(b, p.text...)
		case number:
			b = strconv.AppendInt(b, apply(p.steps, n), 10)
		case address:
			b = p.addr(apply(p.steps, n)).AppendTo(b)
		case pick:
			b = append(b, p.choices[(n-1)%int64(len(p.choices))]...)
		case random:
			span := uint64(p.hi - p.lo + 1)
			hi, _ := bits.Mul64(xxh3.HashStringSeed(strconv.FormatInt(n, 10), p.seed), span)
			b = strconv.AppendInt(b, p.lo+int64(hi), 10)
		}
	}
	return b
}

// apply does the steps; numbers never get so large that they would turn over.
func apply(steps []step, n int64) int64 {
	for _, s := range steps {
		switch s.op {
		case '+':
			n += s.by
		case '-':
			n -= s.by
		case '*':
			n *= s.by
		case '/':
			n /= s.by
		default:
			n %= s.by
		}
		n = min(max(n, -math.MaxInt32), math.MaxInt32)
	}
	return n
}

// addr returns the i-th address of the prefix. Neighbouring numbers lie far
// apart in it: a multiple of the golden section of 2^bits visits each address
// once (Knuth, The Art of Computer Programming 3, section 6.4).
func (p *part) addr(i int64) netip.Addr {
	const golden = 0x9e3779b97f4a7c15
	n := p.hostBits()
	at := uint64(0)
	if n > 0 {
		at = uint64(i) * (golden>>(64-n) | 1) & (1<<n - 1)
	}
	if p.prefix.Addr().Is4() {
		a := p.prefix.Addr().As4()
		v := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3]) | uint32(at)
		return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	a := p.prefix.Addr().As16()
	last := 15
	if p.prefix.Bits() < 64 {
		last, a[15] = 7, 1
	}
	for ; at != 0; last, at = last-1, at>>8 {
		a[last] |= byte(at)
	}
	return netip.AddrFrom16(a)
}
