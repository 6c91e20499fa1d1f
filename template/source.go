package template

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// sources is the YAML of the user's files, kept to say where things stand.
type sources struct {
	dir   string
	files []*source
}

type source struct {
	path  string // absolute
	name  string // for the reader
	lines []string
	docs  []*yaml.Node
}

// maxSource is the largest Compose file that is read, in bytes.
const maxSource = 4 << 20

// read parses a file and those that it includes or extends from. What another file cannot give is
// left to the loader to complain of; problems of this one are returned.
func (s *sources) read(path string, from Place) *Diagnostic {
	path = filepath.Clean(path)
	if slices.ContainsFunc(s.files, func(f *source) bool { return f.path == path }) || len(s.files) > 100 {
		return nil
	}
	content, err := readRegular(path, maxSource)
	if err != nil {
		err = bare(err)
		if from.File == "" {
			from = Place{File: s.display(path)}
			return &Diagnostic{Severity: SeverityError, Place: from, Message: "cannot be read: " + err.Error()}
		}
		return &Diagnostic{Severity: SeverityError, Place: from, Message: fmt.Sprintf("%s cannot be read: %v", s.display(path), err)}
	}
	return s.parse(path, content)
}

// bare takes the path off an error of the file system, which is said already.
func bare(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// readRegular reads a regular file of at most so many bytes.
func readRegular(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Size() > most:
		return nil, fmt.Errorf("it is larger than %s", size(most))
	}
	return os.ReadFile(path)
}

func (s *sources) parse(path string, content []byte) *Diagnostic {
	f := &source{path: path, name: s.display(path), lines: strings.Split(string(content), "\n")}
	s.files = append(s.files, f)
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f.syntax(err)
		}
		f.docs = append(f.docs, &doc)
	}
	for _, doc := range f.docs {
		if d := f.braces(doc, 0); d != nil {
			return d
		}
	}
	for _, doc := range f.docs {
		if d := s.follow(f, doc); d != nil {
			return d
		}
	}
	return nil
}

// display is a path as the reader knows it.
func (s *sources) display(path string) string {
	if rel, err := filepath.Rel(s.dir, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}

func (f *source) problem(line, column int, format string, args ...any) *Diagnostic {
	return &Diagnostic{Severity: SeverityError, Place: f.place(line, column), Message: fmt.Sprintf(format, args...)}
}

func (f *source) place(line, column int) Place {
	p := Place{File: f.name, Line: line, Column: column}
	if line > 0 && line <= len(f.lines) {
		p.Source = f.lines[line-1]
	}
	return p
}

var (
	yamlLine    = regexp.MustCompile(`line (\d+)(?:, column (\d+))?`)
	openBraces  = regexp.MustCompile(`^\s*(?:-\s+)?(?:[^\s"'{:]+:\s+)?\{\{`)
	quoteBraces = `quote the value: a plain value that starts with {{ is a mapping to YAML, so write "{{ ruby | container_name }}"`
)

// syntax turns the YAML parser's words into a diagnostic.
func (f *source) syntax(err error) *Diagnostic {
	message, line, column := err.Error(), 0, 0
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		column, _ = strconv.Atoi(m[2])
	}
	if line > len(f.lines) {
		line, column = len(f.lines), 1
	}
	d := f.problem(line, max(column, 1), "not valid YAML: %s", strings.TrimPrefix(message, "yaml: "))
	for at := min(line, len(f.lines)); at > 0 && at > line-3; at-- {
		if openBraces.MatchString(f.lines[at-1]) {
			d.Place = f.place(at, strings.Index(f.lines[at-1], "{{")+1)
			d.Hint = quoteBraces
			break
		}
	}
	return d
}

// maxDepth is how deep the YAML of a Compose file may be nested.
const maxDepth = 64

// braces finds {{ }} that YAML took for a mapping with a mapping as its key.
func (f *source) braces(n *yaml.Node, depth int) *Diagnostic {
	if depth > maxDepth {
		return f.problem(n.Line, n.Column, "nested more than %d deep", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return nil
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Kind != yaml.ScalarNode && child.Kind != yaml.AliasNode {
			d := f.problem(n.Line, n.Column, "a key must be text")
			if n.Line <= len(f.lines) && strings.Contains(f.lines[n.Line-1], "{{") {
				d.Message, d.Hint = "a plain value starts with {{", quoteBraces
			}
			return d
		}
		if d := f.braces(child, depth+1); d != nil {
			return d
		}
	}
	return nil
}

// follow reads the files that a document includes or extends from.
func (s *sources) follow(f *source, doc *yaml.Node) *Diagnostic {
	var paths []*yaml.Node
	if include, ok := step(content(doc), "include"); ok {
		for _, entry := range include.Content {
			if entry.Kind == yaml.MappingNode {
				entry, _ = step(entry, "path")
			}
			paths = append(paths, scalars(entry)...)
		}
	}
	if services, ok := step(content(doc), "services"); ok {
		for i := 1; i < len(services.Content); i += 2 {
			if extends, ok := step(services.Content[i], "extends"); ok {
				if file, ok := step(extends, "file"); ok {
					paths = append(paths, scalars(file)...)
				}
			}
		}
	}
	for _, p := range paths {
		at := f.place(p.Line, p.Column)
		if strings.Contains(p.Value, "://") || strings.HasPrefix(p.Value, "git@") || strings.HasPrefix(p.Value, "github.com/") {
			return &Diagnostic{Severity: SeverityError, Place: at, Message: "only local files can be included, not " + strconv.Quote(p.Value), Hint: "copy the file into the stack's folder"}
		}
		if strings.Contains(p.Value, "$") {
			continue // only known once inputs are put in
		}
		path := p.Value
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(f.path), path)
		}
		if d := s.read(path, at); d != nil {
			return d
		}
	}
	return nil
}

func scalars(n *yaml.Node) []*yaml.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.ScalarNode:
		return []*yaml.Node{n}
	case n.Kind == yaml.SequenceNode:
		return slices.DeleteFunc(slices.Clone(n.Content), func(c *yaml.Node) bool { return c.Kind != yaml.ScalarNode })
	}
	return nil
}

// content is the root value of a document.
func content(n *yaml.Node) *yaml.Node {
	for range maxDepth {
		switch {
		case n == nil:
			return nil
		case n.Kind == yaml.DocumentNode && len(n.Content) > 0:
			n = n.Content[0]
		case n.Kind == yaml.AliasNode:
			n = n.Alias
		default:
			return n
		}
	}
	return n
}

// step goes from a node to what a path element names in it: a key, an index, or, in a list of
// KEY=VALUE, a key.
func step(n *yaml.Node, name string) (*yaml.Node, bool) {
	_, value, ok := stepKey(n, name, maxDepth)
	return value, ok
}

func stepKey(n *yaml.Node, name string, depth int) (key, value *yaml.Node, ok bool) {
	n = content(n)
	if n == nil || depth == 0 {
		return nil, nil, false
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				return n.Content[i], n.Content[i+1], true
			}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value != "<<" {
				continue
			}
			merged := content(n.Content[i+1])
			list := []*yaml.Node{merged}
			if merged != nil && merged.Kind == yaml.SequenceNode {
				list = merged.Content
			}
			for _, m := range list {
				if key, value, ok := stepKey(m, name, depth-1); ok {
					return key, value, ok
				}
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i], true
		}
		for _, c := range n.Content {
			word, _, _ := strings.Cut(c.Value, "=")
			if c.Kind == yaml.ScalarNode && (word == name || c.Value == name) {
				return c, c, true
			}
		}
	}
	return nil, nil, false
}

// find is where a path stands: in the file that goes deepest along it, the last of equals.
func (s *sources) find(path []string) Place {
	best, depth := Place{}, -1
	for _, f := range s.files {
		if best.File == "" {
			best = Place{File: f.name}
		}
		for _, doc := range f.docs {
			at, deep := content(doc), 0
			var mark *yaml.Node
			for _, name := range path {
				key, value, ok := stepKey(at, name, maxDepth)
				if !ok {
					break
				}
				mark, at = key, value
				deep++
			}
			if mark != nil && deep >= depth {
				best, depth = f.place(mark.Line, mark.Column), deep
			}
		}
	}
	return best
}
