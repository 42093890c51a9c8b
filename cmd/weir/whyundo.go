package main

import (
	"strings"

	"weir/api"
	"weir/emit"
)

// printUndo says how to end it, or to begin it after all.
func (a *whyAnswer) printUndo(p *page, s *story) {
	target := api.FormatTarget(s.line.Decision.Target)
	if a.replay != "" {
		if text := exceptionOf(&s.line.Decision, a.config); text != "" {
			p.wrapped("to except", whyIndent, text)
		}
		return
	}
	switch s.fate(a.now) {
	case inForce, waiting:
		text := a.command("unblock "+quoted(target)) + " --reason '…'"
		if !a.running {
			text = "weir is not running and takes no order: " + a.command("run") + " first, then " + text +
				"; or at once, for everything: " + a.command("stop-blocking") + " --reason '…'"
		}
		p.wrapped("to undo", whyIndent, text)
	case watched:
		p.wrapped("to enforce", whyIndent, "stage: enforce in the configuration, for the rule too where it does not ask for it (rules: set:)")
	case heldBack:
		switch s.held.Guard {
		case emit.GuardBreaker:
			p.wrapped("to allow it", whyIndent+2, a.order("approve "+quoted(s.line.Decision.Rule)))
		case emit.GuardQueue:
			p.wrapped("to allow it", whyIndent+2, a.order("approve "+quoted(s.id)))
		case emit.GuardCrowd:
			a.printAllowCrowd(p, s)
		}
	case takenBack:
		by := func(g emit.Guard) bool {
			return s.withdrawn.By == "" && strings.HasPrefix(s.withdrawn.Reason, string(g)+": ")
		}
		switch {
		case by(emit.GuardBreaker):
			p.wrapped("to allow it", whyIndent+2, a.order("approve "+quoted(s.line.Decision.Rule))+" lets the rule go on")
		case by(emit.GuardCrowd):
			a.printAllowCrowd(p, s)
		}
	}
}

// printAllowCrowd says how to enforce what hits too many, and that it is not softened then.
func (a *whyAnswer) printAllowCrowd(p *page, s *story) {
	p.wrapped("to allow it", whyIndent+2, a.order("approve "+quoted(s.id))+" enforces it on all of them as it was decided: "+s.line.Decision.Would.String())
}

// command is what a person is told to type.
func (a *whyAnswer) command(text string) string { return commandText(text, a.config) }

// order is command for what only a weir that runs can do.
func (a *whyAnswer) order(text string) string {
	if a.running {
		return a.command(text)
	}
	return "once weir runs (" + a.command("run") + "): " + a.command(text)
}

// commandText is a command with the configuration that a person named.
func commandText(text, config string) string {
	if config == "" {
		return "weir " + text
	}
	return "weir " + text + " -c " + shown(config, 200)
}

// quoted puts a text between single quotes where a shell needs them; there is
// none in it.
func quoted(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@+,=") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
