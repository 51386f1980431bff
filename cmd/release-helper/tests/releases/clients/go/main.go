// A release made with go-github: main URL OWNER/NAME TAG ASSETS, the token in GITHUB_TOKEN, ASSETS a directory with two
// files. Prints a line `cell: COMMAND` for each command of the table in docs/releasing.md.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-github/v48/github"
)

type withToken struct{ host string }

// RoundTrip adds the token to requests for the API, as oauth2's transport does; the redirect of a download goes elsewhere.
func (transport withToken) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Host == transport.host {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+os.Getenv("GITHUB_TOKEN"))
	}
	return http.DefaultTransport.RoundTrip(request)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func is(holds bool, what string) {
	if !holds {
		must(fmt.Errorf("it does not hold: %s", what))
	}
}

func cell(name string) { fmt.Println("cell:", name) }

func main() {
	base, err := url.Parse(os.Args[1] + "/api/v3/")
	must(err)
	parts := strings.Split(os.Args[2], "/")
	owner, repo, tag := parts[0], parts[1], os.Args[3]
	files, err := filepath.Glob(filepath.Join(os.Args[4], "*"))
	must(err)
	client := github.NewClient(&http.Client{Transport: withToken{base.Host}})
	client.BaseURL = base
	client.UploadURL, err = url.Parse(os.Args[1] + "/api/uploads/")
	must(err)
	ctx, releases := context.Background(), client.Repositories

	draft, _, err := releases.CreateRelease(ctx, owner, repo, &github.RepositoryRelease{
		TagName: &tag, Name: &tag, Draft: github.Bool(true),
	})
	must(err)
	is(draft.GetDraft(), "a draft was made")
	cell("create a draft")
	id := draft.GetID()

	var assets []*github.ReleaseAsset
	for _, file := range files {
		open, err := os.Open(file)
		must(err)
		asset, _, err := releases.UploadReleaseAsset(ctx, owner, repo, id, &github.UploadOptions{Name: filepath.Base(file)}, open)
		must(err)
		is(asset.GetState() == "uploaded", "an asset was uploaded")
		assets = append(assets, asset)
	}
	cell("upload")

	body, _, err := releases.DownloadReleaseAsset(ctx, owner, repo, assets[0].GetID(), http.DefaultClient)
	must(err)
	got, err := io.ReadAll(body)
	must(err)
	want, err := os.ReadFile(files[0])
	must(err)
	is(bytes.Equal(got, want), "the bytes came back")
	cell("download from a draft")

	edited, _, err := releases.EditRelease(ctx, owner, repo, id, &github.RepositoryRelease{Body: github.String("new")})
	must(err)
	is(edited.GetBody() == "new" && edited.GetDraft(), "the notes were edited")
	cell("edit")
	_, err = releases.DeleteReleaseAsset(ctx, owner, repo, assets[1].GetID())
	must(err)
	cell("delete an asset")
	_, response, err := releases.GetReleaseByTag(ctx, owner, repo, tag)
	is(err != nil && response.StatusCode == 404, "a draft is not found by its tag")
	published, _, err := releases.EditRelease(ctx, owner, repo, id, &github.RepositoryRelease{Draft: github.Bool(false)})
	must(err)
	is(!published.GetDraft(), "it was published")
	cell("publish")

	byTag, _, err := releases.GetReleaseByTag(ctx, owner, repo, tag)
	must(err)
	is(byTag.GetID() == id && len(byTag.Assets) == 1, "it is found by its tag")
	cell("view by tag")
	latest, _, err := releases.GetLatestRelease(ctx, owner, repo)
	must(err)
	is(latest.GetID() == id, "it is the latest")
	cell("view the latest")
	byID, _, err := releases.GetRelease(ctx, owner, repo, id)
	must(err)
	is(byID.GetTagName() == tag, "it is found by its id")
	cell("by id")

	for number := 0; number < 35; number++ {
		name := fmt.Sprintf("v0.0.%d", number)
		_, _, err := releases.CreateRelease(ctx, owner, repo, &github.RepositoryRelease{TagName: &name, Draft: github.Bool(true)})
		must(err)
	}
	seen, options := map[int64]bool{}, &github.ListOptions{PerPage: 10}
	for {
		page, response, err := releases.ListReleases(ctx, owner, repo, options)
		must(err)
		for _, release := range page {
			seen[release.GetID()] = true
		}
		if response.NextPage == 0 {
			break
		}
		options.Page = response.NextPage
	}
	is(len(seen) == 36, "all releases are listed")
	cell("list")
	cell("several pages")

	tags, _, err := releases.ListTags(ctx, owner, repo, nil)
	must(err)
	is(len(tags) == 1 && tags[0].GetName() == tag, "the tag is listed")
	cell("list tags")
	archive, _, err := releases.GetArchiveLink(ctx, owner, repo, github.Tarball, &github.RepositoryContentGetOptions{Ref: tag}, true)
	must(err)
	is(archive.Host != base.Host, "the archive is on another host")
	tarball, err := http.Get(archive.String())
	must(err)
	is(tarball.StatusCode == 200, "the archive is there")
	cell("source archive")

	_, err = releases.DeleteRelease(ctx, owner, repo, id)
	must(err)
	_, err = client.Git.DeleteRef(ctx, owner, repo, "tags/"+tag)
	must(err)
	_, response, err = releases.GetRelease(ctx, owner, repo, id)
	is(err != nil && response.StatusCode == 404, "it is gone")
	cell("delete")
}
