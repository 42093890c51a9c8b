package enrich

import "strings"

// assets are extensions of files that pages are made of.
var assets = stringSet("7z apk avif avi bmp bz2 cab css cur deb dmg eot exe flac flv gif gz heic ico iso jar jpeg jpg jp2 js m3u8 m4a m4s map " +
	"mjs mov mp3 mp4 mpd mpeg mpg msi oga ogg ogv otf png rar rpm svg svgz swf tar tgz tif tiff ts ttf wasm wav webm webmanifest webp " +
	"wma wmv woff woff2 xz zip")

// pages are the other extensions that stay in a template.
var pages = stringSet("action asax ashx asmx asp aspx atom axd bak bin cfg cfm cgi conf config csv dat db dll do doc docx env epub gql htm html inc ini " +
	"json jsf jsp jspx key lock log md mdb mvc old orig pdf pem php php3 php4 php5 php7 phps phtml pl ppt pptx properties ps py rb rdf rss " +
	"save sh shtml sql sqlite swp tmp toml tpl txt xhtml xls xlsx xml xsd xsl yaml yml")

// wellKnownFiles are asset files that mean something by their name.
var wellKnownFiles = stringSet("favicon.ico")

// maxExtension is the longest extension of the sets above.
const maxExtension = 11

// splitExtension cuts a known extension off a file's name and returns it
// without its dot, in lower case; other names come back whole.
func splitExtension(name string) (stem, ext string) {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 || len(name)-i-1 > maxExtension {
		return name, ""
	}
	e := name[i+1:]
	if hasUpper(e) {
		var buf [maxExtension]byte
		lower := lowerInto(buf[:0], e)
		if !assets[string(lower)] && !pages[string(lower)] {
			return name, ""
		}
		return name[:i], strings.ToLower(e)
	}
	if !assets[e] && !pages[e] {
		return name, ""
	}
	return name[:i], e
}

func isAsset(ext string) bool { return ext != "" && assets[ext] }

// isAssetName reports whether a segment is a static file's name.
func isAssetName(name string) bool {
	_, ext := splitExtension(name)
	return isAsset(ext)
}
