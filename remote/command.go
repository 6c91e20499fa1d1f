package remote

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Command is what is to be run on a host: a value that can be compared and
// printed before it runs. Secrets belong into Stdin alone; everything else is
// seen in the host's process list.
type Command struct {
	// Argv is a program and its arguments, run without a shell of ours.
	Argv []string
	// Script is a POSIX shell script; with it, Argv are its arguments $1, $2, ...
	Script string
	// Stdin is what the command reads; nil is nothing.
	Stdin []byte
	// Env is set for the command.
	Env map[string]string
	// Root runs it as root, by sudo where the login is not root.
	Root bool
}

// Argv is the command that runs a program with its arguments.
func Argv(program string, args ...string) Command {
	return Command{Argv: append([]string{program}, args...)}
}

// Script is the command that runs a POSIX shell script with arguments. The
// script stops at the first failure (set -eu).
func Script(script string, args ...string) Command {
	return Command{Script: script, Argv: args}
}

// AsRoot is the command run as root.
func (c Command) AsRoot() Command {
	c.Root = true
	return c
}

// WithStdin is the command with something to read.
func (c Command) WithStdin(content []byte) Command {
	c.Stdin = content
	return c
}

// String is the command as one may type it, without what it reads.
func (c Command) String() string {
	text := c.line("root")
	if len(c.Stdin) > 0 {
		text += fmt.Sprintf(" <(%d bytes)", len(c.Stdin))
	}
	return text
}

// Name is the shortest way to say which command it is, for errors.
func (c Command) Name() string {
	if c.Script == "" {
		return joinQuoted(c.Argv)
	}
	first, rest, _ := strings.Cut(strings.TrimSpace(c.Script), "\n")
	if rest != "" {
		first += " ..."
	}
	return joinQuoted([]string{first})
}

// line is the text given to the login shell of user.
func (c Command) line(user string) string {
	argv := c.Argv
	if c.Script != "" {
		argv = append([]string{"sh", "-euc", c.Script, "sh"}, c.Argv...)
	}
	if len(c.Env) > 0 {
		env := []string{"env"}
		for _, name := range slices.Sorted(maps.Keys(c.Env)) {
			env = append(env, name+"="+c.Env[name])
		}
		argv = append(env, argv...)
	}
	if c.Root && user != "root" {
		argv = append([]string{"sudo", "-n", "--"}, argv...)
	}
	return joinQuoted(argv)
}

// Quote is a word as a POSIX shell reads it back unchanged. A NUL byte has no
// such form and is refused by Run.
func Quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:,+@%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func joinQuoted(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}
