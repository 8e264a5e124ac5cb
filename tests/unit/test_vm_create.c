/* SPDX-License-Identifier: BSD-2-Clause */
/* The arguments of `vm create`. */
#include <string.h>
#include "unit.h"
#include "vmm/shell/create.h"

static struct config_vm vm;
static struct why why;

/* Words parted by '|'. */
static enum err parse_like(const char *words, const struct config_vm *base)
{
    static char text[2048];
    char *argv[32], *save = NULL;
    unsigned argc = 0;

    strcpy(text, words);
    for (char *word = strtok_r(text, "|", &save); word; word = strtok_r(NULL, "|", &save))
        argv[argc++] = word;
    memset(&vm, 0xee, sizeof(vm));
    strcpy(why.text, "");
    return create_parse(&vm, argc, argv, base, &why);
}

static enum err parse(const char *words)
{
    return parse_like(words, NULL);
}

static void assert_wrong(const char *words, const char *said)
{
    assert_int_equal(parse(words), E_INVAL);
    if (!strstr(why.text, said))
        fail_msg("%s: %s", words, why.text);
}

static void options_are_those_of_ferry_cfg(void **state)
{
    (void)state;
    assert_int_equal(parse("web|kernel=vmlinuz|initrd=boot/"
                           "initrd.gz|memory=512M|cpus=4|group=lab|module=m1,a,b c|module=m2|"
                           "cmdline=console=ttyS0 quiet a=\"b\""),
                     OK);
    assert_string_equal(vm.name, "web");
    assert_string_equal(vm.kernel, "vmlinuz");
    assert_string_equal(vm.initrd, "boot/initrd.gz");
    assert_int_equal(vm.memory, MIB(512));
    assert_int_equal(vm.vcpus, 4);
    assert_string_equal(vm.group, "lab");
    assert_int_equal(vm.module_count, 2);
    assert_string_equal(vm.module[0], "m1 a,b c");
    assert_string_equal(vm.module[1], "m2");
    assert_string_equal(vm.cmdline, "console=ttyS0 quiet a=\"b\"");
    assert_false(vm.autostart);
}

static void what_is_not_given_has_its_default(void **state)
{
    (void)state;
    assert_int_equal(parse("web"), OK);
    assert_int_equal(vm.memory, MIB(256));
    assert_int_equal(vm.vcpus, 1);
    assert_string_equal(vm.group, "");
    assert_string_equal(vm.kernel, "");
    assert_int_equal(vm.module_count, 0);
}

static void what_is_wrong_says_what_was_expected(void **state)
{
    (void)state;
    assert_wrong("web|kernle=x",
                 "'kernle=' is no option (did you mean 'kernel='?): expected kernel=, initrd=");
    assert_wrong("web|vmlinuz", "'vmlinuz' is no option");
    assert_wrong("web|host=x", "'host=' is no option");
    assert_wrong("web|vm=x", "'vm=' is no option");
    assert_wrong("web|autostart=yes", "'autostart=' is no option");
    assert_wrong("web|=", "'=' is no option");
    assert_wrong("web|a-word-that-is-much-too-long-to-be-shown-in-whole",
                 "'a-word-that-is-much-too-long-t' is no option");
    assert_wrong("web|memory=5", "memory: expected a size from 4M");
    assert_wrong("web|cpus=", "cpus: expected a number");
    assert_wrong("web|cpus=99|memory=5", "cpus: expected a number"); /* the first one counts */
    assert_wrong("w!b|kernel=x", "vm: expected a new name");
    assert_wrong("web|like", "'like' is no option");
    assert_wrong("web|module=a|module=b|module=c|module=d|module=e", "4 modules at most");
}

static void a_name_cannot_smuggle_in_another_section(void **state)
{
    (void)state;
    assert_int_equal(parse("a\nvm b|memory=8M"),
                     OK); /* no terminal can send that: the line ends there */
    assert_string_equal(vm.name, "a");
}

static void like_begins_with_what_another_has(void **state)
{
    struct config_vm base;

    (void)state;
    assert_int_equal(parse("old|kernel=k|initrd=i|memory=64M|cpus=2|module=m,x y|cmdline=c d"), OK);
    base = vm;
    assert_int_equal(parse_like("new|like|old", &base), OK);
    assert_string_equal(vm.name, "new");
    assert_int_equal(vm.memory, MIB(64));
    assert_int_equal(vm.vcpus, 2);
    assert_string_equal(vm.initrd, "i");
    assert_string_equal(vm.module[0], "m x y");
    assert_string_equal(vm.cmdline, "c d");
    assert_int_equal(parse_like("new|like|old|memory=8M|module=n|cmdline=e", &base), OK);
    assert_int_equal(vm.memory, MIB(8));
    assert_int_equal(vm.module_count, 1);
    assert_string_equal(vm.module[0], "n");
    assert_string_equal(vm.cmdline, "e");
    assert_string_equal(vm.kernel, "k");
}

static void the_longest_line_fits(void **state)
{
    char text[1200] = "web|cmdline=";
    size_t n = strlen(text);

    (void)state;
    memset(text + n, 'x', 511);
    text[n + 511] = '\0';
    assert_int_equal(parse(text), OK);
    assert_int_equal(strlen(vm.cmdline), 511);
    memset(text + n, 'x', 1000);
    text[n + 1000] = '\0';
    assert_wrong(text, "the line is longer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_those_of_ferry_cfg),
        cmocka_unit_test(what_is_not_given_has_its_default),
        cmocka_unit_test(what_is_wrong_says_what_was_expected),
        cmocka_unit_test(a_name_cannot_smuggle_in_another_section),
        cmocka_unit_test(like_begins_with_what_another_has),
        cmocka_unit_test(the_longest_line_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
