package viperprobe_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const (
	maxLines = 500 // of a hand-written file
	maxDepth = 3   // folders above a file; what a test keeps below testdata does not count
)

// noNames are package names that say nothing about what is inside.
var noNames = []string{"util", "utils", "common", "helper", "helpers", "types", "model", "models", "core", "base", "manager", "misc", "shared"}

// noText is what must not stand in any tracked text file. It is put together here so that this file passes itself.
var noText = map[string]string{
	"/wor" + "k/":                  "a path of the machine that it was written on: use a path relative to the repository",
	"/far" + "m/":                  "a path of the machine that it was written on: use a path relative to the repository",
	"deb.debian" + ".org":          "a registry's host: let apt's own configuration say where packages come from",
	"proxy.golang" + ".org":        "a registry's host: let GOPROXY say where modules come from",
	"pypi" + ".org":                "a registry's host: let pip's own configuration say where packages come from",
	"registry.npmjs" + ".org":      "a registry's host: let npm's own configuration say where packages come from",
	"repo1.maven" + ".org":         "a registry's host: let Maven's own settings say where packages come from",
	"repo.maven.apache" + ".org":   "a registry's host: let Maven's own settings say where packages come from",
	"https://crates" + ".io":       "a registry's host: let cargo's own configuration say where packages come from",
	"https://index.crates" + ".io": "a registry's host: let cargo's own configuration say where packages come from",
}

// allowedSkips: a skip is a claim that something cannot be tested here. Key: file and test function; value: the claim.
var allowedSkips = map[string]string{
	"internal/probe/block_test.go:TestBlockWriteBackBelongsToWhoDirtied": "cgroup v1 charges write-back to the root; the VMs have v2",
}

// tracked lists the repository's files: those in git and new ones that git does not ignore.
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-z", "-co", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("list files with git: %v", err)
	}
	var files []string
	for f := range strings.SplitSeq(string(out), "\x00") {
		if info, err := os.Lstat(f); err == nil && info.Mode().IsRegular() {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		t.Fatal("git lists no file: run the tests inside the repository")
	}
	return files
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// generated knows the standard marker of generated Go files.
func generated(text []byte) bool {
	head, _, _ := strings.Cut("\n"+string(text), "\npackage ")
	return strings.Contains(head, "\n// Code generated ")
}

func TestText(t *testing.T) {
	for _, f := range tracked(t) {
		text := read(t, f)
		if bytes.IndexByte(text, 0) >= 0 {
			continue
		}
		for n, line := range strings.Split(string(text), "\n") {
			for bad, why := range noText {
				if strings.Contains(line, bad) {
					t.Errorf("%s:%d: %s is %s", f, n+1, bad, why)
				}
			}
		}
	}
}

func TestSizes(t *testing.T) {
	code := []string{".go", ".c", ".h", ".sh", ".py", ".js", ".css"}
	for _, f := range tracked(t) {
		dir, _, _ := strings.Cut(path.Dir(f), "/testdata")
		if depth := len(strings.Split(dir, "/")); depth > maxDepth {
			t.Errorf("%s lies %d folders deep, at most %d keep the tree readable: move it up", f, depth, maxDepth)
		}
		if !slices.Contains(code, path.Ext(f)) {
			continue
		}
		text := read(t, f)
		if n := bytes.Count(text, []byte("\n")); n > maxLines && !generated(text) {
			t.Errorf("%s has %d lines, at most %d can be read in one go: split it by what it is about", f, n, maxLines)
		}
	}
}

// parsed is every Go file of the repository with its syntax tree, by folder.
func parsed(t *testing.T, fset *token.FileSet) map[string]map[string]*ast.File {
	t.Helper()
	folders := map[string]map[string]*ast.File{}
	for _, f := range tracked(t) {
		dir := path.Dir(f)
		if path.Ext(f) != ".go" || strings.Contains("/"+dir+"/", "/testdata/") {
			continue
		}
		tree, err := parser.ParseFile(fset, f, nil, parser.ParseComments)
		if err != nil {
			t.Fatalf("parse %s: %v", f, err)
		}
		if folders[dir] == nil {
			folders[dir] = map[string]*ast.File{}
		}
		folders[dir][path.Base(f)] = tree
	}
	return folders
}

func TestPackageNames(t *testing.T) {
	for dir, files := range parsed(t, token.NewFileSet()) {
		for file, tree := range files {
			name := strings.TrimSuffix(tree.Name.Name, "_test")
			for _, no := range noNames {
				if name == no || path.Base(dir) == no {
					t.Errorf("%s/%s is in package %q, which says nothing: name it after what it knows", dir, file, no)
				}
			}
		}
	}
}

// TestPackageDocs wants one doc comment per package, in one file, so that there is one place to read and to change.
func TestPackageDocs(t *testing.T) {
	for dir, files := range parsed(t, token.NewFileSet()) {
		testsOnly := true
		for file := range files {
			testsOnly = testsOnly && strings.HasSuffix(file, "_test.go")
		}
		var docs []string
		for file, tree := range files {
			if tree.Doc != nil && strings.HasSuffix(file, "_test.go") == testsOnly {
				docs = append(docs, file)
			}
		}
		slices.Sort(docs)
		if len(docs) != 1 {
			t.Errorf("%s has %d package doc comments %v, want one: say in the main file what the package is for", dir, len(docs), docs)
		}
	}
}

func TestSkips(t *testing.T) {
	fset, found := token.NewFileSet(), map[string]bool{}
	for dir, files := range parsed(t, fset) {
		for file, tree := range files {
			for _, call := range skipCalls(tree) {
				key := path.Join(dir, file) + ":" + call.function
				found[key] = true
				if allowedSkips[key] == "" {
					t.Errorf("%s: %s may skip, and is not in the table allowedSkips of repo_text_test.go: "+
						"make it run, or add it there with the reason why this cannot be tested", fset.Position(call.pos), key)
				}
			}
		}
	}
	for key := range allowedSkips {
		if !found[key] {
			t.Errorf("allowedSkips names %s, which does not skip (any more): remove it", key)
		}
	}
}

type skipCall struct {
	function string
	pos      token.Pos
}

// skipCalls finds the calls of testing's Skip, Skipf and SkipNow, whatever the variable is called.
func skipCalls(tree *ast.File) (calls []skipCall) {
	for _, d := range tree.Decls {
		function, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(function, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				if variable, ok := sel.X.(*ast.Ident); ok && slices.Contains([]string{"t", "b", "f", "tb"}, variable.Name) {
					calls = append(calls, skipCall{function.Name.Name, call.Pos()})
				}
			}
			return true
		})
	}
	return calls
}

// TestTextRulesBite shows that the finders above find.
func TestTextRulesBite(t *testing.T) {
	src := "// Code generated by hand. DO NOT EDIT.\n\npackage x\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { t.Run(\"y\", func(t *testing.T) { t.Skipf(\"no\") }) }\nfunc TestY(t *testing.T) { r.Skip(1) }\n"
	tree, err := parser.ParseFile(token.NewFileSet(), "x_test.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	if calls := skipCalls(tree); len(calls) != 1 || calls[0].function != "TestX" {
		t.Errorf("skipCalls: got %v, want the one of TestX", calls)
	}
	if !generated([]byte(src)) || generated([]byte("package x\n\n// Code generated by hand. DO NOT EDIT.\n")) {
		t.Error("generated does not tell a marker at the top from one below")
	}
}
