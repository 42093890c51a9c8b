package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// document is the tables of the parts that were scored.
type document struct {
	parts []string
	text  map[string]string
}

// tables makes the tables of what was scored.
func tables(found *scored) (*document, error) {
	d := &document{text: map[string]string{}}
	for _, p := range parts {
		of := found.of(p.name)
		if len(of.trials) == 0 {
			continue
		}
		var b bytes.Buffer
		p.table(of, &b)
		d.parts, d.text[p.name] = append(d.parts, p.name), b.String()
	}
	if len(d.parts) == 0 {
		return nil, errors.New("nothing was scored")
	}
	return d, nil
}

func (d *document) print(w io.Writer) error {
	for _, part := range d.parts {
		if _, err := fmt.Fprintf(w, "## %s\n\n%s\n", part, d.text[part]); err != nil {
			return err
		}
	}
	return nil
}

// What a part's tables stand between in the document.
func begins(part string) string { return "<!-- make score writes this: " + part + " -->\n" }
func ends(part string) string   { return "<!-- end of " + part + " -->\n" }

// write puts the tables where they belong in the document.
func (d *document) write(path, rules string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	all := string(text)
	for _, part := range d.parts {
		if all, err = replaced(all, part, d.text[part], rules); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return writeWhole(path, []byte(all))
}

// replaced puts a part's tables between its marks.
func replaced(all, part, table, rules string) (string, error) {
	before, rest, ok := strings.Cut(all, begins(part))
	if !ok {
		return "", fmt.Errorf("no line %q in it", strings.TrimSpace(begins(part)))
	}
	_, after, ok := strings.Cut(rest, ends(part))
	if !ok {
		return "", fmt.Errorf("no line %q behind %q", strings.TrimSpace(ends(part)), strings.TrimSpace(begins(part)))
	}
	return before + begins(part) + "\nMade with " + rules + ".\n\n" + strings.TrimRight(table, "\n") + "\n\n" + ends(part) + after, nil
}
