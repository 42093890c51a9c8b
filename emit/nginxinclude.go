package emit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// notIncluded is that nginx does not use the file, so that what stands there is
// enforced nowhere: what the point holds cannot be told from it.
type notIncluded struct{ text string }

func (n notIncluded) Error() string { return n.text }

// Is makes a notIncluded both what it is and an ErrUnreadable.
func (notIncluded) Is(target error) bool { return target == errNotIncluded || target == ErrUnreadable }

var errNotIncluded = errors.New("nginx does not include the list")

// used says what speaks against nginx running with the file of that generation,
// as far as it can be found out.
func (n *nginxPoint) used(ctx context.Context, generation string) error {
	if n.probe == nil {
		return n.look(ctx)
	}
	err := n.probe.expect(ctx, generation, 0)
	if err == nil {
		n.included = true
		return nil
	}
	if e := n.look(ctx); e != nil {
		return e // it is why
	}
	return err
}

// look finds out whether nginx includes the file, once when the point is first
// used and again after an error. A configuration that does not pass, or that
// weir is not let print, changes nothing about what nginx runs with: it is
// logged, and Apply says it.
func (n *nginxPoint) look(ctx context.Context) error {
	if n.included || !n.printable() {
		return nil
	}
	err := n.test(ctx)
	if err == nil || errors.Is(err, errNotIncluded) {
		n.untested = ""
		return err
	}
	if text := err.Error(); text != n.untested && ctx.Err() == nil {
		n.log.Warn("whether nginx includes the list cannot be found out", "error", err)
		n.untested = text
	}
	return nil
}

// printable reports whether the operator's test can print what nginx reads.
func (n *nginxPoint) printable() bool { return slices.Contains(n.cfg.Test, "-t") }

// test tests nginx's configuration and, until it was found there and where the
// test can print it, looks for the file in it.
func (n *nginxPoint) test(ctx context.Context) error {
	if n.included || !n.printable() {
		return runCommand(ctx, n.cfg.Test)
	}
	args := slices.Clone(n.cfg.Test)
	args[slices.Index(args, "-t")] = "-T" // the same, and prints all that it read
	seal, err := n.sealLine()
	if err != nil {
		return err
	}
	before := ""
	err = eachLine(ctx, args, func(line string) {
		n.included = n.included || n.names(line) || line == seal && elsewhere(before)
		before = line
	})
	if err != nil {
		n.included = false
		return err
	}
	if !n.included {
		return n.missing(args)
	}
	return nil
}

// sealLine returns the file's first line.
func (n *nginxPoint) sealLine() (string, error) {
	body, entries, err := readSealed(n.cfg.Conf)
	if errors.Is(err, errDamaged) {
		return "", nil // the file's name has to do
	}
	return strings.TrimSuffix(fmt.Sprintf(sealFormat, entries, sumOf(body)), "\n"), err
}

// fileLine returns the path of a line with which nginx -T begins a file.
func fileLine(line string) (path string, ok bool) {
	path, ok = strings.CutPrefix(line, "# configuration file ")
	if ok {
		path, ok = strings.CutSuffix(path, ":")
	}
	return path, ok
}

// names reports whether a line begins the point's file, by whatever path nginx
// came to it. Only of files of the same name is looked which they are.
func (n *nginxPoint) names(line string) bool {
	path, ok := fileLine(line)
	if !ok || path == n.cfg.Conf {
		return ok
	}
	if filepath.Base(path) != filepath.Base(n.cfg.Conf) {
		return false
	}
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := os.Stat(n.cfg.Conf)
	return err == nil && os.SameFile(a, b)
}

// elsewhere reports whether a line begins a file that this process does not see:
// an nginx in a container knows the same file by another path.
func elsewhere(line string) bool {
	path, ok := fileLine(line)
	if !ok {
		return false
	}
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// missing says that nginx does not include the file, and which nginx was asked.
func (n *nginxPoint) missing(asked []string) error {
	text := fmt.Sprintf("nginx does not include %[1]s, as %[2]s prints: put \"include %[1]s;\" into its http block and reload it",
		n.cfg.Conf, strings.Join(asked, " "))
	if !slices.Contains(asked, "-c") && !slices.Contains(asked, "-p") {
		text += "; for another nginx say test: [nginx, -c, FILE, -t] and reload: [nginx, -c, FILE, -s, reload]"
	}
	return notIncluded{text}
}
