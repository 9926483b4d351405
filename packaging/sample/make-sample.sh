#!/usr/bin/env bash
# Makes and changes a sample conda environment without conda, to see what envwarden does with it.
#
#   make-sample.sh create NAME|PATH RECORD...    a new environment; NAME is ~/.conda/envs/NAME
#   make-sample.sh install NAME|PATH RECORD...   adds packages; another version is replaced
#   make-sample.sh remove NAME|PATH PACKAGE...   removes packages
#   make-sample.sh delete NAME|PATH              removes the environment
#
# RECORD is a conda-meta record: a file, or the name of one in the folder records beside this
# script. The environment has records and history but not the packages' files: it can be listed,
# checked and audited, not run. What is written, and in which order, is what conda itself does.
set -euo pipefail

records=$(cd "$(dirname "$0")" && pwd)/records
listing=$HOME/.conda/environments.txt

die() {
	echo "make-sample.sh: $*" >&2
	exit 1
}

usage() {
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

prefix_of() {
	case $1 in
	*/*) realpath -m "$1" ;;
	. | .. | '' | -*) die "\"$1\" names no environment" ;;
	*) echo "$HOME/.conda/envs/$1" ;;
	esac
}

record_file() {
	local name
	for name in "$1" "$records/$1" "$records/$1.json"; do
		if [ -f "$name" ]; then
			echo "$name"
			return
		fi
	done
	die "no record \"$1\"; there are: $(cd "$records" && echo *.json)"
}

# The value of a string member of a record. Records are written one member a line.
member() {
	sed -n "s/^ *\"$2\": \"\\(.*\\)\",\\{0,1\\}\$/\\1/p" "$1" | head -n 1
}

# How history names a package: CHANNEL/SUBDIR::NAME-VERSION-BUILD
dist_of() {
	local channel subdir
	channel=$(member "$1" channel)
	subdir=$(member "$1" subdir)
	channel=${channel%/}
	echo "${channel%/"$subdir"}/$subdir::$(basename "$1" .json)"
}

spec_of() {
	echo "$(member "$1" name)=$(member "$1" version)"
}

# The record of a package that is in the prefix, if it is.
installed() {
	local file
	for file in "$1"/conda-meta/*.json; do
		if [ -f "$file" ] && [ "$(member "$file" name)" = "$2" ]; then
			echo "$file"
			return
		fi
	done
}

# Old records are renamed first and deleted last, so that a failure could still be undone.
set_aside() {
	mv "$1" "$1.c~"
	removed+=("-$(dist_of "$1.c~" | sed 's/\.json\.c~$//')")
	aside+=("$1.c~")
}

link_record() {
	local prefix=$1 record=$2
	cat "$record" >"$prefix/conda-meta/$(basename "$record")"
	added+=("+$(dist_of "$record")")
}

register() {
	mkdir -p "$HOME/.conda"
	grep -qxF "$1" "$listing" 2>/dev/null || echo "$1" >>"$listing"
}

unregister() {
	local rest
	[ -f "$listing" ] || return 0
	rest=$(grep -vxF "$1" "$listing" || true)
	printf '%s' "${rest:+$rest
}" >"$listing"
}

# write_history PREFIX COMMAND SPECS: one section, and the specs by a second write as conda does.
write_history() {
	local history=$1/conda-meta/history
	if [ -f "$history" ]; then
		cp "$history" "$history.c~"
		aside+=("$history.c~")
	else
		date +%s.%6N >"$1/conda-meta/created_at"
	fi
	{
		date '+==> %Y-%m-%d %H:%M:%S <=='
		echo "# cmd: conda $2"
		echo "# conda version: 26.7.1"
		{
			printf '%s\n' "${removed[@]}" | sort
			printf '%s\n' "${added[@]}" | sort
		} | sed '/^$/d'
	} >>"$history"
	echo "# $3" >>"$history"
}

cleanup() {
	local file
	for file in "${aside[@]}"; do
		rm -f "$file"
	done
}

specs_of() {
	local list="" record
	for record in "$@"; do
		list+="${list:+, }'$(spec_of "$record")'"
	done
	echo "[$list]"
}

# install_records VERB PREFIX RECORD...
install_records() {
	local verb=$1 prefix=$2 record old words=""
	shift 2
	for record in "$@"; do
		old=$(installed "$prefix" "$(member "$record" name)")
		[ -z "$old" ] || set_aside "$old"
	done
	for record in "$@"; do
		link_record "$prefix" "$record"
		words+=" $(spec_of "$record")"
	done
	register "$prefix"
	write_history "$prefix" "$verb --yes --prefix $prefix$words" "update specs: $(specs_of "$@")"
	cleanup
}

remove_packages() {
	local prefix=$1 package old list=""
	shift
	for package in "$@"; do
		old=$(installed "$prefix" "$package")
		[ -n "$old" ] || die "$package is not in $prefix"
		set_aside "$old"
		list+="${list:+, }'$package'"
	done
	write_history "$prefix" "remove --yes --prefix $prefix $*" "remove specs: [$list]"
	cleanup
}

delete_environment() {
	local prefix=$1 file
	for file in "$prefix"/conda-meta/*.json; do
		[ ! -f "$file" ] || set_aside "$file"
	done
	write_history "$prefix" "remove --yes --prefix $prefix --all" "remove specs: []"
	cleanup
	rm -f "$prefix/conda-meta/history" "$prefix/conda-meta/created_at"
	rmdir "$prefix/conda-meta"
	rmdir "$prefix" 2>/dev/null || echo "make-sample.sh: left what else is in $prefix" >&2
	unregister "$prefix"
}

[ $# -ge 2 ] || usage
command=$1
prefix=$(prefix_of "$2")
shift 2
removed=() added=() aside=() files=()
case $command in
create | install)
	[ $# -ge 1 ] || usage
	for name in "$@"; do
		file=$(record_file "$name")
		files+=("$file")
	done
	;;
esac
case $command in
create)
	[ ! -e "$prefix" ] || die "$prefix is there already"
	mkdir -p "$prefix/conda-meta"
	install_records create "$prefix" "${files[@]}"
	;;
install | remove | delete)
	[ -f "$prefix/conda-meta/history" ] || die "$prefix is no environment"
	case $command in
	install) install_records install "$prefix" "${files[@]}" ;;
	remove)
		[ $# -ge 1 ] || usage
		remove_packages "$prefix" "$@"
		;;
	delete) delete_environment "$prefix" ;;
	esac
	;;
*) usage ;;
esac
