package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Manual is the reference of the language in Markdown, made from the table that Load reads by.
func Manual() string {
	var b strings.Builder
	b.WriteString(manualHead)
	for _, kind := range language.blocks {
		fmt.Fprintf(&b, "\n## %s\n\n", kind.name)
		if kind.help != "" {
			fmt.Fprintf(&b, "`%s`: %s.\n", header(kind), kind.help)
		}
		describeBlock(&b, kind, kind.name)
	}
	b.WriteString("\n## Functions\n\n")
	names := slices.Sorted(maps.Keys(functions(".")))
	fmt.Fprintf(&b, "`%s`\n", strings.Join(names, "`, `"))
	b.WriteString(manualFunctions)
	return b.String()
}

const manualHead = `# The stack file

This page is made from the program's own table of the language (` + "`go test ./stack -update`" + `).

` + "`cloudship.hcl`" + ` is HCL: blocks with attributes, whose values are expressions. A block of several
attributes may stand in one line, with commas between. Blocks refer to each other in any order:
` + "`var.tag`, `local.url`, `group.blue.servers`, `network.main`" + `. Where a block is wanted, its name in
quotes will do as well. Labels are a-z, 0-9 and -, a letter first, at most 40; variables, locals and outputs
may have any HCL name.

Two kinds of values are not let in everywhere. **Sensitive** ones (variables with ` + "`sensitive = true`" + `,
` + "`sensitive(...)`, `secret_file(...)`" + `, passwords, and all that is made of them) go only where the
table says so. **Found** ones are known when things run: ` + "`load_balancer.NAME.ip` and `.id`, `group.NAME.server[0].public_ip`" + `,
` + "`.private_ip` and `.id`, `network.NAME.id`, `ssh_key.NAME.id`, `build.NAME.image`" + `; only outputs and template inputs read them, and in
inputs they may only be put into text.

A variable's value is the last of: its default, ` + "`CLOUDSHIP_VAR_name`, `*.auto.vars.hcl` beside the file, `--var-file`s in their order, `--var`" + `.
`

const manualFunctions = `
They give the same for the same files and variables: there is no clock, no chance and no environment among
them. ` + "`file` and `templatefile`" + ` read below the stack's folder only; ` + "`secret_file`" + ` reads anywhere (` + "`~/`" + ` is the home
folder), and what it reads is sensitive.
`

// describeBlock writes a block's attributes as a table, then the blocks inside.
func describeBlock(b *strings.Builder, kind *block, path string) {
	if len(kind.attributes) > 0 {
		b.WriteString("\n| attribute | takes | |\n|---|---|---|\n")
		for _, a := range kind.attributes {
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", a.name, a.spoken(), a.remarks())
		}
	}
	if kind.free && kind.name != "locals" {
		b.WriteString("\nIts attributes are the provider's own.\n")
	}
	for _, inner := range kind.blocks {
		say := ""
		if inner.help != "" {
			say = ": " + inner.help
		}
		fmt.Fprintf(b, "\n### %s > %s\n\n`%s`%s.\n", path, inner.name, header(inner), say)
		describeBlock(b, inner, path+" > "+inner.name)
	}
}

// spoken says what an attribute takes.
func (a attribute) spoken() string {
	switch a.takes {
	case reference:
		return "a " + a.of
	case references:
		return "a list of " + a.of + "s"
	}
	return map[takes]string{
		text: "text", location: "URL", number: "whole number", yesNo: "true or false", duration: "duration", sizing: "size", texts: "list of texts",
		oneOrMore: "text or list of texts", textMap: "names with texts", numberMap: "names with numbers", commands: "list of commands", anything: "anything", typeName: "type",
	}[a.takes]
}

// remarks says what else is to be known of an attribute.
func (a attribute) remarks() string {
	var remarks []string
	if a.required {
		remarks = append(remarks, "required")
	}
	if a.help != "" {
		remarks = append(remarks, strings.ReplaceAll(a.help, "|", "\\|"))
	}
	if a.secret {
		remarks = append(remarks, "may be sensitive")
	}
	if a.late {
		remarks = append(remarks, "may rest on what is found")
	}
	return strings.Join(remarks, "; ")
}
