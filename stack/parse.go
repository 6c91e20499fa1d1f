package stack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxFile is the largest file that is read, in bytes, and maxDepth how deep its brackets go: a
// file beyond that is no stack file, and would cost more memory than it is worth.
const (
	maxFile  = 256 << 10
	maxDepth = 100
)

// node is a block of the file that the language knows, with its contents checked for names.
type node struct {
	block      *block
	label      string
	at         hcl.Range // of its header
	attributes map[string]*hclsyntax.Attribute
	nodes      []*node
	broken     bool // something in it was not understood: what seems to be missing may be that
}

// title names the node for people: group "blue".
func (n *node) title() string {
	if n.label == "" {
		return n.block.name
	}
	return fmt.Sprintf("%s %q", n.block.name, n.label)
}

// inner lists the blocks of one kind inside.
func (n *node) inner(kind string) []*node {
	var list []*node
	for _, i := range n.nodes {
		if i.block.name == kind {
			list = append(list, i)
		}
	}
	return list
}

// only is the one block of a kind inside, or nil.
func (n *node) only(kind string) *node {
	if list := n.inner(kind); len(list) > 0 {
		return list[0]
	}
	return nil
}

// find is the block of a kind with a label, or nil.
func (n *node) find(kind, label string) *node {
	for _, i := range n.nodes {
		if i.block.name == kind && i.label == label {
			return i
		}
	}
	return nil
}

// labels lists the labels of the blocks of a kind inside.
func (n *node) labels(kind string) []string {
	var labels []string
	for _, i := range n.inner(kind) {
		labels = append(labels, i.label)
	}
	return labels
}

// where is the place of an attribute, or of the whole node when it is not written.
func (n *node) where(attribute string) hcl.Range {
	if a := n.attributes[attribute]; a != nil {
		return a.Expr.Range()
	}
	return n.at
}

// parse reads one file into the tree of its blocks.
func parse(src []byte, filename string) (*node, hcl.Diagnostics) {
	root := &node{block: language, at: hcl.Range{Filename: filename, Start: hcl.InitialPos, End: hcl.InitialPos}}
	if d := measure(src, filename); d != nil {
		return root, hcl.Diagnostics{d}
	}
	unfolded, folds := unfold(src, filename)
	file, diags := hclsyntax.ParseConfig(unfolded, filename, hcl.InitialPos)
	body, ok := file.Body.(*hclsyntax.Body)
	folds.restore(src, body, diags)
	if diags.HasErrors() || !ok {
		return root, diags
	}
	return root, append(diags, root.fill(body)...)
}

// measure refuses files that are too large or nested too deeply to be read safely.
func measure(src []byte, filename string) *hcl.Diagnostic {
	at := hcl.Range{Filename: filename, Start: hcl.InitialPos, End: hcl.InitialPos}
	if len(src) > maxFile {
		return fault(at, fmt.Sprintf("the file has %d bytes", len(src)), fmt.Sprintf("want at most %d", maxFile), "")
	}
	tokens, _ := hclsyntax.LexConfig(src, filename, hcl.InitialPos)
	depth, run := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			depth--
		}
		switch t.Type {
		case hclsyntax.TokenNewline, hclsyntax.TokenComma:
			run = 0
		default:
			run++
		}
		if depth > maxDepth || run > 100*maxDepth {
			return fault(t.Range, "this is nested too deeply", fmt.Sprintf("want at most %d brackets inside each other", maxDepth), "")
		}
	}
	return nil
}

// fill takes over a body, naming what does not belong there.
func (n *node) fill(body *hclsyntax.Body) hcl.Diagnostics {
	var diags hcl.Diagnostics
	n.attributes = map[string]*hclsyntax.Attribute{}
	for _, a := range inOrder(body.Attributes) {
		if d := n.misplaced(a); d != nil {
			diags, n.broken = append(diags, d), true
			continue
		}
		n.attributes[a.Name] = a
	}
	for _, b := range body.Blocks {
		inner, more := n.take(b)
		diags, n.broken = append(diags, more...), n.broken || inner == nil
		if inner != nil {
			diags = append(diags, inner.fill(b.Body)...)
			n.nodes = append(n.nodes, inner)
		}
	}
	for _, a := range n.block.attributes {
		if a.required && !n.broken && n.attributes[a.name] == nil {
			diags = append(diags, fault(n.at, fmt.Sprintf("%s has no %s", n.title(), a.name), join("want "+a.name+" = ...", a.help), ""))
		}
	}
	return diags
}

// join puts what helps after what is said.
func join(say, help string) string {
	if help == "" {
		return say
	}
	return say + ": " + help
}

// inOrder sorts attributes as they stand in the file.
func inOrder(attributes hclsyntax.Attributes) []*hclsyntax.Attribute {
	var list []*hclsyntax.Attribute
	for _, a := range attributes {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *hclsyntax.Attribute) int { return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte })
	return list
}

// misplaced says why an attribute may not stand in the node, or nil.
func (n *node) misplaced(a *hclsyntax.Attribute) *hcl.Diagnostic {
	switch {
	case n.block.free || n.block.attribute(a.Name) != nil:
		return nil
	case n.block.block(a.Name) != nil:
		return fault(a.NameRange, fmt.Sprintf("%s is a block", a.Name), "", fmt.Sprintf("write %s, without =", header(n.block.block(a.Name))))
	case n.block == language:
		return fault(a.NameRange, fmt.Sprintf("attribute %q stands outside of every block", a.Name), oneOf(language.names()), "put it into a block; names for values go into locals { }")
	}
	return fault(a.NameRange, fmt.Sprintf("%s has no attribute %q", n.title(), a.Name), oneOf(n.block.names()), didYouMean(a.Name, n.block.names()))
}

// header shows how a block is begun.
func header(b *block) string {
	if b.labelled {
		return b.name + ` "NAME" { ... }`
	}
	return b.name + " { ... }"
}

// take checks a block's name and labels. It gives nil for a block that cannot be read.
func (n *node) take(b *hclsyntax.Block) (*node, hcl.Diagnostics) {
	kind := n.block.block(b.Type)
	if kind == nil {
		d := fault(b.TypeRange, fmt.Sprintf("unknown block %q", b.Type), oneOf(blockNames(n.block)), didYouMean(b.Type, n.block.names()))
		if n.block != language {
			d.Summary = fmt.Sprintf("%s has no block %q", n.title(), b.Type)
			d.Detail = oneOf(n.block.names())
		}
		if n.block.attribute(b.Type) != nil {
			d.Summary, d.Extra = fmt.Sprintf("%s is no block", b.Type), Hint(fmt.Sprintf("write %s = ...", b.Type))
		}
		return nil, hcl.Diagnostics{d}
	}
	inner := &node{block: kind, at: b.DefRange()}
	if d := inner.takeLabel(b); d != nil {
		return nil, hcl.Diagnostics{d}
	}
	for _, other := range n.nodes {
		if other.block != kind || !kind.single && (inner.label == "" || other.label != inner.label) {
			continue
		}
		if kind.single {
			return nil, hcl.Diagnostics{fault(inner.at, fmt.Sprintf("a second %s block", kind.name), "want one; the first is at "+place(other.at), "")}
		}
		return nil, hcl.Diagnostics{fault(inner.at, fmt.Sprintf("there is a %s already", inner.title()), "the first is at "+place(other.at), "give it another name")}
	}
	return inner, nil
}

func blockNames(b *block) []string {
	var names []string
	for _, inner := range b.blocks {
		names = append(names, inner.name)
	}
	return names
}

// takeLabel takes over a block's label, or says what is wrong with it.
func (n *node) takeLabel(b *hclsyntax.Block) *hcl.Diagnostic {
	switch {
	case !n.block.labelled && len(b.Labels) > 0:
		return fault(b.LabelRanges[0], fmt.Sprintf("%s takes no name", n.block.name), "want "+header(n.block), "")
	case n.block.labelled && len(b.Labels) == 0:
		return fault(b.TypeRange, fmt.Sprintf("%s has no name", n.block.name), "want "+header(n.block), "")
	case len(b.Labels) > 1:
		return fault(b.LabelRanges[1], fmt.Sprintf("%s takes one name", n.block.name), "want "+header(n.block), "")
	case !n.block.labelled:
		return nil
	}
	n.label = b.Labels[0]
	if n.block.wide {
		if !hclsyntax.ValidIdentifier(n.label) {
			return fault(b.LabelRanges[0], fmt.Sprintf("%q cannot be the name of a %s", n.label, n.block.name), "want letters, digits, _ and -, a letter first", "")
		}
		return nil
	}
	if !resource.Label.MatchString(n.label) || len(n.label) > resource.MaxLabel {
		return fault(b.LabelRanges[0], fmt.Sprintf("%q cannot be the name of a %s", n.label, n.block.name),
			fmt.Sprintf("want a-z, 0-9 and -, a letter first, at most %d", resource.MaxLabel), labelHint(n.label))
	}
	return nil
}

// labelHint proposes a valid label that looks like the one that is not, or "".
func labelHint(label string) string {
	proposal := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r == '_', r == ' ', r == '.':
			return '-'
		}
		return -1
	}, strings.ToLower(label))
	proposal = strings.TrimLeft(proposal, "-0123456789")
	if len(proposal) > resource.MaxLabel {
		proposal = proposal[:resource.MaxLabel]
	}
	if proposal = strings.TrimRight(proposal, "-"); proposal == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", proposal)
}
