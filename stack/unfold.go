package stack

import (
	"reflect"
	"sort"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// HCL has no way to write a block of several attributes in one line. Ours has:
//
//	listener "http" { port = 80, target_port = 80 }
//
// unfold puts each attribute of such a block on a line of its own, which HCL reads, and gives what
// is needed to find every place again in the text as it was written.
func unfold(src []byte, filename string) ([]byte, folds) {
	edits := findFolds(src, filename)
	if len(edits) == 0 {
		return src, nil
	}
	var out []byte
	var f folds
	from := 0
	for _, e := range edits {
		out = append(out, src[from:e.at]...)
		out = append(out, '\n')
		from = e.at + e.drop
		f = append(f, fold{after: len(out), moved: len(out) - from})
	}
	return append(out, src[from:]...), f
}

// edit puts a line feed at a byte, in the place of so many bytes.
type edit struct{ at, drop int }

// findFolds looks for blocks in one line that have commas, and gives what must be put there.
func findFolds(src []byte, filename string) []edit {
	tokens, _ := hclsyntax.LexConfig(src, filename, hcl.InitialPos)
	type level struct {
		block    bool // its braces are a block's, so attributes stand in it
		open     int  // where it begins
		commas   []int
		valued   bool // an equal sign was read since the last attribute began
		newlines bool
		inner    bool // a block stands in it
	}
	levels, edits := []level{{block: true, newlines: true}}, []edit{}
	for _, t := range tokens {
		top := &levels[len(levels)-1]
		switch t.Type {
		case hclsyntax.TokenOBrace:
			block := top.block && !top.valued
			top.inner = top.inner || block
			levels = append(levels, level{block: block, open: t.Range.End.Byte})
		case hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			levels = append(levels, level{})
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			if len(levels) == 1 {
				return nil
			}
			if top.block && !top.newlines && (len(top.commas) > 0 || top.inner) {
				edits = append(edits, edit{at: top.open})
				for _, comma := range top.commas {
					edits = append(edits, edit{at: comma, drop: 1})
				}
				edits = append(edits, edit{at: t.Range.Start.Byte})
			}
			levels = levels[:len(levels)-1]
			if outer := &levels[len(levels)-1]; top.block {
				outer.valued = false
			}
		case hclsyntax.TokenEqual:
			top.valued = true
		case hclsyntax.TokenNewline, hclsyntax.TokenComment:
			if n := len(t.Bytes); n > 0 && t.Bytes[n-1] == '\n' {
				top.newlines, top.valued = true, false
			}
		case hclsyntax.TokenComma:
			if top.block {
				top.commas, top.valued = append(top.commas, t.Range.Start.Byte), false
			}
		}
	}
	sort.Slice(edits, func(i, j int) bool { return edits[i].at < edits[j].at })
	return edits
}

// fold says by how many bytes the text from some byte on has moved.
type fold struct{ after, moved int }

type folds []fold

// original is the byte of the text as written that a byte of the unfolded text stands for.
func (f folds) original(at int) int {
	i := sort.Search(len(f), func(i int) bool { return f[i].after > at })
	if i == 0 {
		return at
	}
	return at - f[i-1].moved
}

// restore puts every place in a parsed body and its diagnostics back to where it was written.
func (f folds) restore(src []byte, body *hclsyntax.Body, diags hcl.Diagnostics) {
	if len(f) == 0 {
		return
	}
	lines := lineStarts(src)
	fix := func(r hcl.Range) hcl.Range {
		r.Start, r.End = lines.position(src, f.original(r.Start.Byte)), lines.position(src, f.original(r.End.Byte))
		return r
	}
	for _, d := range diags {
		for _, r := range []*hcl.Range{d.Subject, d.Context} {
			if r != nil {
				*r = fix(*r)
			}
		}
	}
	if body != nil {
		eachRange(reflect.ValueOf(body), map[any]bool{}, fix)
	}
}

// starts are the bytes at which lines begin.
type starts []int

func lineStarts(src []byte) starts {
	s := starts{0}
	for i, b := range src {
		if b == '\n' {
			s = append(s, i+1)
		}
	}
	return s
}

// position is a byte's line and column.
func (s starts) position(src []byte, at int) hcl.Pos {
	at = max(0, min(at, len(src)))
	line := sort.SearchInts(s, at+1)
	return hcl.Pos{Line: line, Column: len([]rune(string(src[s[line-1]:at]))) + 1, Byte: at}
}

var rangeType = reflect.TypeOf(hcl.Range{})

// eachRange replaces every source range below a value. Ranges in values that an interface holds
// (the steps of a traversal) are replaced with the whole value.
func eachRange(v reflect.Value, seen map[any]bool, fix func(hcl.Range) hcl.Range) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		eachRange(v.Elem(), seen, fix)
	case reflect.Interface:
		inner := v.Elem()
		if inner.Kind() == reflect.Struct && v.CanSet() {
			changed := reflect.New(inner.Type()).Elem()
			changed.Set(inner)
			eachRange(changed, seen, fix)
			v.Set(changed)
			return
		}
		if v.IsValid() && !v.IsNil() {
			eachRange(inner, seen, fix)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachRange(v.Index(i), seen, fix)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			eachRange(it.Value(), seen, fix)
		}
	case reflect.Struct:
		if v.Type() == rangeType {
			if v.CanSet() {
				v.Set(reflect.ValueOf(fix(v.Interface().(hcl.Range))))
			}
			return
		}
		if v.Type().PkgPath() != "github.com/hashicorp/hcl/v2/hclsyntax" && v.Type().PkgPath() != "github.com/hashicorp/hcl/v2" {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				eachRange(v.Field(i), seen, fix)
			}
		}
	}
}
