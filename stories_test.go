package cloudship_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rows are those that must be shown: of ProLeads' story (P) and of Fantasy Reality's (F).
var rows = map[string][]int{
	"P": {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 29, 30, 33, 35},
	"F": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24},
}

// named finds the tests that a row of the list names: `TestX`, `TestX/P1Step` or a script, and the
// file after them.
var named = regexp.MustCompile("`([A-Za-z0-9_]+(?:/[A-Za-z0-9_-]+)?)` in `([^`]+)`")

// TestStoriesNameTheirTests holds docs/stories.md against the tests: every row that must be shown
// is there, is named by a test, and the test is where the list says.
func TestStoriesNameTheirTests(t *testing.T) {
	text, err := os.ReadFile("docs/stories.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			lines[strings.TrimSpace(cells[1])] = line
		}
	}
	for story, numbers := range rows {
		for _, n := range numbers {
			row := fmt.Sprint(story, n)
			if line, ok := lines[row]; ok {
				shows(t, row, line)
			} else {
				t.Errorf("docs/stories.md has no row %s", row)
			}
		}
	}
}

// shows wants that a row names tests that are there, and one at least that is called after it.
func shows(t *testing.T, row, line string) {
	t.Helper()
	ofRow := regexp.MustCompile(fmt.Sprintf(`(^|/)(Test)?[%s%s]%s([^0-9]|$)`, row[:1], strings.ToLower(row[:1]), row[1:]))
	shown := false
	for _, test := range named.FindAllStringSubmatch(line, -1) {
		shown = shown || ofRow.MatchString(test[1])
		if err := hasTest(test[1], test[2]); err != nil {
			t.Errorf("row %s: %v", row, err)
		}
	}
	if !shown {
		t.Errorf("row %s names no test that is called after it", row)
	}
}

// hasTest says whether a file has a test: a function, and a step of it or a script beside it.
func hasTest(test, file string) error {
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	function, step, _ := strings.Cut(test, "/")
	if filepath.Ext(file) == ".txtar" {
		if strings.TrimSuffix(filepath.Base(file), ".txtar") != step {
			return fmt.Errorf("%s is not the script of %s", file, test)
		}
		return nil
	}
	if !strings.Contains(string(source), "func "+function+"(t *testing.T) {") {
		return fmt.Errorf("%s has no %s", file, function)
	}
	if step != "" && !strings.Contains(string(source), `"`+step+`"`) {
		return fmt.Errorf("%s has no step %s", file, step)
	}
	return nil
}
