# Writes OUT: the files init.<name> of DIR, for each name of HOOKS, as the table of shell_init.h.
set(text "#include \"agent/cli/shell_init.h\"\n\n")
set(table "")
foreach(name IN LISTS HOOKS)
  file(READ "${DIR}/init.${name}" hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
         "\\1\n\t" bytes "${bytes}")
  string(APPEND text "static const unsigned char text_${name}[] = {\n\t${bytes}\n};\n")
  string(APPEND table "\t{\"${name}\", text_${name}, sizeof(text_${name})},\n")
endforeach()
string(APPEND text "const struct shell_text shell_texts[] = {\n${table}\t{0, 0, 0},\n};\n")
file(WRITE "${OUT}" "${text}")
