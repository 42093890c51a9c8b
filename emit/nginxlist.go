package emit

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weir/event"
)

// byStrength is the actions, the one that counts where several are in force
// first.
var byStrength = []event.Action{event.Block, event.Deceive, event.Challenge, event.Limit}

// nginxLists renders and reads the one file that an operator includes in the
// http block of nginx.
//
// A geo block for each action and endpoint holds "<end> <id>" for an address. A
// map compares the end with the clock at every request of a listed address, so
// nothing needs to be reloaded when an entry is over.
type nginxLists struct {
	actions   []event.Action // by strength
	endpoints []Endpoint     // as they must be tried
	exprs     []string       // of each
}

func newNginxLists(actions []event.Action, endpoints []Endpoint) (nginxLists, error) {
	n := nginxLists{}
	for _, a := range byStrength {
		if slices.Contains(actions, a) {
			n.actions = append(n.actions, a)
		}
	}
	for _, e := range endpoints {
		expr, err := requestExpr(e, " ")
		if err != nil {
			return n, err
		}
		n.endpoints, n.exprs = append(n.endpoints, e), append(n.exprs, expr)
	}
	return n, nil
}

// group is the entries of one geo block.
type group struct {
	action   event.Action
	endpoint string // empty: all of the site
}

func (g group) variable() string {
	if g.endpoint == "" {
		return "weir_" + g.action.String() + "_site"
	}
	return "weir_" + g.action.String() + "_" + g.endpoint
}

// render returns the content of the file. Its generation is the name by which
// nginx can be asked whether it runs with it.
func (n nginxLists) render(es []Entry) (body []byte, generation string, err error) {
	groups := map[group][]*Entry{}
	for i := range es {
		e := &es[i]
		if err := n.check(e); err != nil {
			return nil, "", err
		}
		g := group{e.Action, e.Endpoint}
		groups[g] = append(groups[g], e)
	}
	var b bytes.Buffer
	var listed []group
	for _, a := range n.actions {
		listed = append(listed, group{action: a})
		for _, ep := range n.endpoints {
			if g := (group{a, ep.ID}); len(groups[g]) > 0 {
				listed = append(listed, g)
			}
		}
	}
	var line []byte
	for _, g := range listed {
		fmt.Fprintf(&b, "geo $%s {\n    default \"\";\n", g.variable())
		for i, e := range groups[g] {
			if i > 0 && groups[g][i-1].Prefix == e.Prefix {
				return nil, "", fmt.Errorf("%w: %s stands twice in the list of %s", ErrPermanent, e.Prefix, g.variable())
			}
			line = e.Prefix.AppendTo(append(line[:0], "    "...))
			line = append(line, ` "`...)
			line = append(proxyValue(line, e, ' '), "\";\n"...)
			b.Write(line)
		}
		b.WriteString("}\n")
	}
	n.renderMaps(&b, listed)
	generation = sumOf(b.Bytes())[:16]
	fmt.Fprintf(&b, "geo $weir_generation {\n    default %s;\n}\n", generation)
	return b.Bytes(), generation, nil
}

// check says why an entry cannot stand in the file.
func (n nginxLists) check(e *Entry) error {
	if err := checkProxyEntry(e); err != nil {
		return err
	}
	if !slices.Contains(n.actions, e.Action) {
		return fmt.Errorf("%w: entry %s: action %s was not given to the point", ErrPermanent, e.Prefix, e.Action)
	}
	if e.Endpoint != "" && !slices.ContainsFunc(n.endpoints, func(ep Endpoint) bool { return ep.ID == e.Endpoint }) {
		return fmt.Errorf("%w: entry %s: endpoint %s is not in the point's table", ErrPermanent, e.Prefix, e.Endpoint)
	}
	return nil
}

// stillLater matches "<now> <end> <id>" where the end is later: two decimals of
// equal length, a common prefix, then a smaller digit in the first.
var stillLater = func() string {
	var digits []string
	for d := range 9 {
		digits = append(digits, fmt.Sprintf(`%d[\d.]* \g{1}[%d-9]`, d, d+1))
	}
	return `^(\d*)(?:` + strings.Join(digits, "|") + `)\d* `
}()

// renderMaps writes what makes $weir_block, $weir_action, $weir_id and
// $weir_refused of the geo blocks. The maps in front of the comparisons spare
// those who are on no list the regular expressions.
func (n nginxLists) renderMaps(b *bytes.Buffer, listed []group) {
	n.renderEndpoints(b, slices.ContainsFunc(listed, func(g group) bool { return g.endpoint != "" }))
	for _, a := range n.actions {
		v := "weir_" + a.String()
		fmt.Fprintf(b, "map $weir_endpoint $%s_endpoint {\n    default \"\";\n", v)
		for _, g := range listed {
			if g.action == a && g.endpoint != "" {
				fmt.Fprintf(b, "    %s $%s;\n", g.endpoint, g.variable())
			}
		}
		b.WriteString("}\n")
		for _, of := range []string{"site", "endpoint"} {
			fmt.Fprintf(b, "map \"$msec $%[1]s_%[2]s\" $%[1]s_%[2]s_now {\n    default \"\";\n    \"~%[3]s(?<%[1]s_%[2]s_was>[0-9a-f]+)\" $%[1]s_%[2]s_was;\n}\n", v, of, stillLater)
			fmt.Fprintf(b, "map $%[1]s_%[2]s $%[1]s_%[2]s_id {\n    \"\" \"\";\n    default $%[1]s_%[2]s_now;\n}\n", v, of)
		}
		fmt.Fprintf(b, "map $%[1]s_site_id $%[1]s_id {\n    \"\" $%[1]s_endpoint_id;\n    default $%[1]s_site_id;\n}\n", v)
		fmt.Fprintf(b, "map $%[1]s_id $%[1]s {\n    \"\" 0;\n    default 1;\n}\n", v)
	}
	n.renderResults(b)
}

// renderEndpoints writes the map from a request to the endpoint's id. While no
// entry is for an endpoint alone there is nothing to be told apart.
func (n nginxLists) renderEndpoints(b *bytes.Buffer, needed bool) {
	b.WriteString("map \"$request_method $host $uri\" $weir_endpoint {\n    default \"\";\n")
	if needed {
		for i, ep := range n.endpoints {
			fmt.Fprintf(b, "    \"~%s\" %s;\n", n.exprs[i], ep.ID)
		}
	}
	b.WriteString("}\n")
}

func (n nginxLists) renderResults(b *bytes.Buffer) {
	var all strings.Builder
	for _, a := range n.actions {
		all.WriteString("$weir_" + a.String())
	}
	fmt.Fprintf(b, "map \"%s\" $weir_action {\n    default \"\";\n", all.String())
	for i, a := range n.actions {
		fmt.Fprintf(b, "    \"~^0{%d}1\" %s;\n", i, a)
	}
	b.WriteString("}\nmap $weir_action $weir_id {\n    default \"\";\n")
	for _, a := range n.actions {
		fmt.Fprintf(b, "    %[1]s $weir_%[1]s_id;\n", a)
	}
	// What was really refused: a block that nobody acts upon is none.
	b.WriteString("}\nmap \"$status $weir_action\" $weir_refused {\n    default \"\";\n")
	for _, a := range n.actions {
		switch a {
		case event.Block:
			b.WriteString("    \"403 block\" block;\n    \"444 block\" block;\n")
		case event.Limit:
			b.WriteString("    \"429 limit\" limit;\n    \"503 limit\" limit;\n")
		default:
			fmt.Fprintf(b, "    \"~ %[1]s$\" %[1]s;\n", a)
		}
	}
	b.WriteString("}\n")
}

var (
	geoStart = regexp.MustCompile(`^geo \$weir_(block|limit|challenge|deceive)_(site|e[0-9a-f]{8}) \{$`)
	geoEntry = regexp.MustCompile(`^    ([0-9a-f.:/]+) "([0-9a-z/ ]+)";$`)
)

// parse reads the entries back.
func (nginxLists) parse(body []byte) (es []Entry, err error) {
	var at *group
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20) // a line of the map of endpoints
	for n := 2; lines.Scan(); n++ {
		line := lines.Text()
		if at == nil {
			if m := geoStart.FindStringSubmatch(line); m != nil {
				at = &group{}
				at.action, _ = event.ActionByName(m[1])
				if m[2] != "site" {
					at.endpoint = m[2]
				}
			}
			continue
		}
		if line == "}" {
			at = nil
			continue
		}
		if line == `    default "";` {
			continue
		}
		m := geoEntry.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%w: line %d: %.80q is no entry", errDamaged, n, line)
		}
		e := Entry{Action: at.action, Endpoint: at.endpoint}
		if e.Prefix, err = readProxyPrefix(m[1]); err == nil {
			err = readProxyValue(m[2], &e, ' ')
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", errDamaged, n, err)
		}
		es = append(es, e)
	}
	return es, lines.Err()
}

// generationOf returns the generation of a rendered file.
func generationOf(body []byte) string {
	m := generationLine.FindSubmatch(body)
	if m == nil {
		return ""
	}
	return string(m[1])
}

var generationLine = regexp.MustCompile(`(?m)^geo \$weir_generation \{\n    default ([0-9a-f]{16});`)
