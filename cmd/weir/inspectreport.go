package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// print writes the inspection for a person.
func (in *inspection) print(w io.Writer) error {
	p := &page{w: w}
	in.printLog(p)
	in.printRejected(p)
	if in.Lines.Events > 0 {
		in.printFields(p)
		in.printAddresses(p)
		in.printEndpoints(p)
		in.printRules(p)
		in.printNext(p)
	}
	return p.err
}

const labels = 13 // columns of the labels on the left

func (in *inspection) printLog(p *page) {
	p.line("%s", shown(strings.Join(in.Files, " "), screen))
	format := in.Format.Name
	how := "as configured"
	if in.Format.Guessed {
		how = "guessed"
	} else if in.config == "" {
		how = "as asked for"
	}
	p.wrapped("format", labels, fmt.Sprintf("%s, %s: it reads %d of the first %s", format, how, in.Format.Read, several(in.Format.Sampled, "line")))
	lines := count(in.Lines.Read) + " read"
	if in.Lines.Cut {
		lines += " (there are more; --lines 0 reads all)"
	}
	lines += fmt.Sprintf(", %s understood", count(in.Lines.Events+in.Lines.Filtered))
	if in.Lines.Rejected > 0 {
		lines += fmt.Sprintf(", %s not (%s)", count(in.Lines.Rejected), percent(float64(in.Lines.Rejected)/float64(in.Lines.Read)))
	}
	if in.Lines.Headers > 0 {
		lines += ", " + plural(in.Lines.Headers, "header")
	}
	if in.Lines.Filtered > 0 {
		lines += fmt.Sprintf("; %s of them passed by as the source's only: says", count(in.Lines.Filtered))
	}
	p.wrapped("lines", labels, lines)
	for _, b := range in.Broken {
		p.wrapped("broken", labels, shown(b, 3*screen))
	}
	if in.Lines.Events == 0 {
		return
	}
	in.printTime(p)
}

func (in *inspection) printTime(p *page) {
	t := &in.Time
	const layout = "2006-01-02 15:04:05"
	p.wrapped("time", labels, fmt.Sprintf("%s to %s UTC, %s", t.From.Format(layout), t.To.Format(layout), spanText(t.To.Sub(t.From))))
	p.wrapped("density", labels, fmt.Sprintf("%s on average; %s in the busiest minute, %s",
		rateText(t.PerSecond), count(t.Busiest), t.BusiestAt.Format("2006-01-02 15:04")))
	switch {
	case t.Behind == 0:
		p.wrapped("order", labels, "every line is as late as the one before it or later")
	default:
		text := fmt.Sprintf("%s (%s) older than one before, by %s at most; disorder: %s covers ", plural(t.Behind, "line"),
			percent(float64(t.Behind)/float64(in.Lines.Events)), spanText(time.Duration(t.MostBehind*float64(time.Second))), t.Disorder)
		if t.Uncovered == 0 {
			text += "all of them"
		} else {
			text += fmt.Sprintf("all but %s, which count a little late, or not at all if more than an hour behind", count(t.Uncovered))
		}
		p.wrapped("order", labels, text)
	}
	if t.Gaps > 0 {
		p.wrapped("", labels, plural(t.Gaps, "gap")+" of more than a day")
	}
	if t.Future > 0 {
		p.wrapped("", labels, plural(t.Future, "line")+" more than a day ahead of those around: not counted")
	}
}

func (in *inspection) printRejected(p *page) {
	if len(in.Rejected) == 0 {
		return
	}
	p.heading("Lines that cannot be read (their shape, since secrets may stand anywhere in them)")
	for _, r := range in.Rejected {
		p.line("  %s: %s", count(r.Lines), r.Reason)
		for _, s := range r.Samples {
			p.line("    | %s", shown(s, screen-6))
		}
	}
}

func (in *inspection) printFields(p *page) {
	p.heading("Fields (as weir keeps them: accounts, sessions and other secrets as pseudonyms)")
	rows := [][]string{{"field", "filled", "values", "for example"}}
	for _, f := range in.Fields {
		values := ""
		switch {
		case f.More:
			values = ">" + count(int64(f.Values))
		case f.Values > 0:
			values = count(int64(f.Values))
		}
		rows = append(rows, []string{f.Name, percent(f.Filled), values, shown(f.Example, screen)})
	}
	p.table("lrrl", rows...)
	var bare []string
	for _, m := range in.Missing {
		if m.Advice == "" {
			bare = append(bare, m.Name)
		}
	}
	in.printUnread(p)
	if len(in.Missing) == 0 {
		return
	}
	p.line("  never filled:")
	for _, m := range in.Missing {
		if m.Advice != "" {
			p.wrapped("  "+m.Name, 4+labels, m.Advice)
		}
	}
	if len(bare) > 0 {
		p.wrapped("  and", 4+labels, strings.Join(bare, " "))
	}
}

// printUnread names what stands in the log under keys that nothing is mapped
// to: the account, perhaps.
func (in *inspection) printUnread(p *page) {
	const most = 24
	var names []string
	for _, name := range in.Unread[:min(len(in.Unread), most)] {
		names = append(names, shown(name, 40))
	}
	if in.unreadMore || len(in.Unread) > most {
		names = append(names, "and others")
	}
	if len(names) > 0 {
		p.wrapped("", 2, "keys in the log that weir does not use: "+strings.Join(names, ", "))
	}
}

func (in *inspection) printAddresses(p *page) {
	a := &in.Addresses
	p.heading("Addresses")
	text := count(int64(a.Different)) + " different"
	if a.More {
		text = "more than " + text
	}
	for _, s := range []struct {
		share float64
		what  string
	}{
		{a.IPv6, "IPv6"}, {a.Private, "private"}, {a.Loopback, "loopback"},
		{a.Shared, "in 100.64.0.0/10, which carriers use inside"}, {a.None, "without an address"},
	} {
		if s.share > 0 {
			text += fmt.Sprintf("; %s of the events %s", percent(s.share), s.what)
		}
	}
	p.wrapped("", 2, text)
	var top []string
	for _, t := range a.Top {
		top = append(top, t.Name+" "+percent(t.Share))
	}
	p.wrapped("most events", 2+labels, strings.Join(top, ", "))
	a.printProxies(p)
	a.printCrawlers(p)
}

func (a *addressFacts) printProxies(p *page) {
	switch {
	case len(a.Proxies) > 0 && a.Forwarded > 0:
		p.wrapped("PROXY", 2+labels, fmt.Sprintf("a few addresses carry nearly everything, and %s of the lines have an X-Forwarded-For: these look "+
			"like proxies of yours. Once weir may believe them it sees the clients: trusted_proxies: [%s]", percent(a.Forwarded), strings.Join(a.prefixes(), ", ")))
	case len(a.Proxies) > 0:
		p.wrapped("PROXY", 2+labels, fmt.Sprintf("a few addresses carry nearly everything: these look like proxies of yours, and blocking them "+
			"would block everybody. Have the server log X-Forwarded-For, map it (forwarded) and set trusted_proxies: [%s]", strings.Join(a.prefixes(), ", ")))
	case a.Forwarded > 0 && !a.Trusted:
		p.wrapped("chain", 2+labels, fmt.Sprintf("%s of the lines have an X-Forwarded-For. Anybody can send one, so it counts for nothing "+
			"until trusted_proxies: names the proxies that write it", percent(a.Forwarded)))
	}
}

func (a *addressFacts) printCrawlers(p *page) {
	list := func(shares []namedShare) string {
		var out []string
		for _, s := range shares {
			out = append(out, shown(s.Name, 30)+" "+percent(s.Share))
		}
		return strings.Join(out, ", ")
	}
	if a.Crawlers > 0 {
		p.wrapped("crawlers", 2+labels, fmt.Sprintf("%s of the events come from ranges that crawlers publish: %s", percent(a.Crawlers), list(a.Verified)))
	}
	if a.Claims > 0 {
		text := fmt.Sprintf("%s of the events say that they are a crawler (%s)", percent(a.Claims), list(a.Claimed))
		if !a.Table {
			text += "; anybody can say so, and weir believes published ranges only: enrich: {crawlers: [ranges/]}"
		} else {
			text += " from elsewhere"
		}
		p.wrapped("claims", 2+labels, text)
	}
	if a.Monitors > 0 {
		p.wrapped("monitors", 2+labels, fmt.Sprintf("%s of the events say that they are uptime monitors; anybody can say that too", percent(a.Monitors)))
	}
}

func (in *inspection) printEndpoints(p *page) {
	e := &in.Endpoints
	p.heading("Endpoints (what each is for and what came of its requests; * = guessed, not from a site file)")
	guessed := func(from, text string) string {
		if text != "" && strings.HasPrefix(from, "guessed") {
			return text + "*"
		}
		return text
	}
	rows := [][]string{{"requests", "kind", "success", "failure", "neither", "endpoint"}}
	for _, f := range e.Shown {
		row := []string{count(f.Requests), guessed(f.From.Kind, f.Kind), "", "", "", shown(f.Endpoint, screen)}
		if f.Success+f.Failure > 0 || len(f.Answers) > 0 {
			row[2], row[3], row[4] = guessed(f.From.Outcome, count(f.Success)), guessed(f.From.Outcome, count(f.Failure)), count(f.None)
		}
		if f.Deprecated {
			row[5] += "  (deprecated)"
		}
		if f.Item != "" && f.Kind != "asset" {
			row[5] += "  item " + shown(f.Item, 24)
		}
		rows = append(rows, row)
	}
	p.table("rlrrrl", rows...)
	different := count(int64(e.Different))
	if e.More {
		different = "more than " + different
	}
	if e.Different > len(e.Shown) {
		p.line("  %s different; the others have few requests, and no kind or no page behind them", different)
	}
	in.printAnswers(p)
	if in.SiteFile != "" {
		p.heading("A site file that says what was guessed; correct it, and name it in weir.yaml with site: site.yaml")
		for l := range strings.Lines(in.SiteFile) {
			p.line("  %s", strings.TrimRight(l, "\n"))
		}
	}
}

// printAnswers says which answers were taken for success and failure.
func (in *inspection) printAnswers(p *page) {
	const most = 12
	n := 0
	for _, f := range in.Endpoints.Shown {
		if len(f.Answers) == 0 || n == most {
			continue
		}
		if n++; n == 1 {
			p.line("  answers, and what they were taken for:")
		}
		var list []string
		for _, a := range f.Answers {
			o := a.Outcome
			if o == "" {
				o = "neither"
			}
			list = append(list, fmt.Sprintf("%d %s (%s)", a.Status, o, count(a.N)))
		}
		p.wrapped("  "+shown(f.Endpoint, 29), 4+30, strings.Join(list, ", "))
		if f.Doubt != "" {
			p.wrapped("", 4+30, f.Doubt)
		}
	}
	if in.Endpoints.Success == 0 && in.Endpoints.Tries > 0 {
		p.wrapped("", 2, "Nothing in this log succeeded, so that weir cannot tell a source with customers behind it by their "+
			"log-ins; visits that load assets stand in for them.")
	}
}

func (in *inspection) printRules(p *page) {
	p.heading("Rules")
	rows := [][]string{{"rule", "", "looks at", "what it finds, or what it lacks"}}
	for _, r := range in.Rules {
		why := r.Title
		if len(r.Why) > 0 {
			why = r.Why[0]
		}
		rows = append(rows, []string{r.Rule, r.State, count(r.Sees), why})
		for _, more := range r.Why[min(1, len(r.Why)):] {
			rows = append(rows, []string{"", "", "", more})
		}
	}
	p.table("llrw", rows...)
	p.wrapped("", 2, "An endpoint that is there and was not recognised: give its kind in a site file.")
}

func (in *inspection) printNext(p *page) {
	p.heading("Next")
	file := shown(strings.Join(in.Files, " "), 60)
	if in.config != "" {
		p.line("  weir replay -c %s --out found %s", in.config, file)
		return
	}
	p.line("  weir replay --out found %s", file)
	p.line("  or the same with -c weir.yaml, which says what was found out:")
	for l := range strings.Lines(in.proposedConfig()) {
		p.line("    %s", strings.TrimRight(l, "\n"))
	}
}

// proposedConfig is a configuration to begin with: what was found out about
// the log, and what it takes to say more.
func (in *inspection) proposedConfig() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sources:\n  - name: web\n    format: %s\n", in.Format.Name)
	if in.Time.Disorder != "" {
		fmt.Fprintf(&b, "    disorder: %s\n", in.Time.Disorder)
	}
	if len(in.Addresses.Proxies) > 0 {
		fmt.Fprintf(&b, "    trusted_proxies: [%s]\n", strings.Join(in.Addresses.prefixes(), ", "))
	}
	if in.SiteFile != "" {
		b.WriteString("site: site.yaml   # as above, corrected\n")
	}
	return b.String()
}

// spanText writes a length of time as people say it.
func spanText(d time.Duration) string {
	switch {
	case d >= 3*365*24*time.Hour:
		return fmt.Sprintf("%.1f years", d.Hours()/24/365.25)
	case d >= 72*time.Hour:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	case d >= 3*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	case d >= 3*time.Minute:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}

// rateText writes a rate in a unit of which there is at least one.
func rateText(perSecond float64) string {
	for _, u := range []struct {
		seconds float64
		name    string
	}{{1, "second"}, {60, "minute"}, {3600, "hour"}, {86400, "day"}} {
		if n := perSecond * u.seconds; n >= 1 || u.name == "day" {
			if n >= 10 {
				return count(int64(n+0.5)) + " events a " + u.name
			}
			if n < 1.05 && n >= 0.95 {
				return "1 event a " + u.name
			}
			return fmt.Sprintf("%.2g events a %s", n, u.name)
		}
	}
	return ""
}

// plural writes a number of things.
func plural(n int64, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "s"):
		what += "e"
	}
	return count(n) + " " + what + "s"
}
