/* SPDX-License-Identifier: BSD-2-Clause */
/* ferry.cfg: every key, every way to get it wrong, and text as editors leave it. */
#include <stdio.h>
#include <string.h>
#include "unit.h"
#include "kernel/config.h"

static struct config config;
static unsigned wrong_count, wrong_line;
static char wrong_what[256];

static void on_wrong(void *ctx, unsigned line, const char *what)
{
    assert_ptr_equal(ctx, &config);
    if (!wrong_count++) {
        wrong_line = line;
        snprintf(wrong_what, sizeof(wrong_what), "%s", what);
    }
}

static unsigned parse_bytes(const char *text, size_t size)
{
    unsigned wrong;

    wrong_count = wrong_line = 0;
    wrong_what[0] = '\0';
    wrong = config_parse(&config, text, size, on_wrong, &config);
    assert_int_equal(wrong, wrong_count);
    return wrong;
}

static unsigned parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void assert_wrong(const char *text, unsigned line, const char *words)
{
    unsigned count = parse(text);

    if (count != 1 || wrong_line != line || !strstr(wrong_what, words))
        fail_msg("'%s': %u wrong, line %u: %s", text, count, wrong_line, wrong_what);
}

static void nothing_is_a_host_named_ferry_without_vms(void **state)
{
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_string_equal(config.host, "ferry");
    assert_int_equal(config.console_port, 0x3f8);
    assert_int_equal(config.console_baud, 115200);
    assert_int_equal(config.vm_count + config.file_count + config.prefix, 0);
}

static void rdma_has_its_time_outs(void **state)
{
    (void)state;
    assert_int_equal(parse("host a"), 0);
    assert_int_equal(config.rdma_timeout, 500);
    assert_int_equal(config.rdma_retries, 7);
    assert_int_equal(parse("rdma-timeout 60000\nrdma-retries 0"), 0);
    assert_int_equal(config.rdma_timeout, 60000);
    assert_int_equal(config.rdma_retries, 0);
    assert_wrong("rdma-timeout 0", 1, "milliseconds, from 1 to 60000");
    assert_wrong("rdma-timeout 1s", 1, "milliseconds, from 1 to 60000");
    assert_wrong("rdma-retries 8", 1, "from 0 to 7");
    assert_int_equal(config.rdma_retries, 7);
}

static void every_key_is_understood(void **state)
{
    (void)state;
    assert_int_equal(parse("# a comment\n"
                           "host alpha-1.example\n"
                           "address 192.0.2.1/24\n"
                           "console com2 9600\n"
                           "secret lab 000102030405060708090a0b0c0d0e0f"
                           "101112131415161718191a1b1c1d1eff\n"
                           "file spare.elf\n"
                           "\n"
                           "vm web\n"
                           "    kernel vmlinuz\n"
                           "    initrd boot/initrd.gz\n"
                           "    memory 512M\n"
                           "    cpus 4\n"
                           "    group lab\n"
                           "    module mod1 with arguments\n"
                           "    module mod2\n"
                           "    cmdline console=ttyS0  quiet a=\"b c\" # not a comment\n"
                           "    autostart yes\n"
                           "vm db\n"
                           "autostart no\n"),
                     0);
    assert_string_equal(config.host, "alpha-1.example");
    assert_memory_equal(config.address, "\xc0\x00\x02\x01", 4);
    assert_int_equal(config.prefix, 24);
    assert_int_equal(config.console_port, 0x2f8);
    assert_int_equal(config.console_baud, 9600);
    assert_int_equal(config.file_count, 1);
    assert_string_equal(config.file[0], "spare.elf");
    assert_int_equal(config.vm_count, 2);
    assert_string_equal(config.vm[0].name, "web");
    assert_string_equal(config.vm[0].kernel, "vmlinuz");
    assert_string_equal(config.vm[0].initrd, "boot/initrd.gz");
    assert_int_equal(config.vm[0].memory, MIB(512));
    assert_int_equal(config.vm[0].vcpus, 4);
    assert_int_equal(config.vm[0].module_count, 2);
    assert_string_equal(config.vm[0].module[0], "mod1 with arguments");
    assert_string_equal(config.vm[0].module[1], "mod2");
    assert_string_equal(config.vm[0].cmdline, "console=ttyS0  quiet a=\"b c\" # not a comment");
    assert_true(config.vm[0].autostart);
    assert_int_equal(config.vm[0].line, 8);
    assert_string_equal(config.vm[0].group, "lab");
    assert_string_equal(config.vm[1].group, ""); /* alone */
    assert_int_equal(config.secret_count, 1);
    assert_string_equal(config.secret[0].group, "lab");
    for (unsigned i = 0; i < CONFIG_KEY - 1; i++)
        assert_int_equal(config.secret[0].key[i], i);
    assert_int_equal(config.secret[0].key[CONFIG_KEY - 1], 0xff);
    assert_string_equal(config.vm[1].name, "db");
    assert_int_equal(config.vm[1].memory, MIB(256));
    assert_int_equal(config.vm[1].vcpus, 1);
    assert_false(config.vm[1].autostart);
}

static void every_wrong_value_is_named_with_what_was_expected(void **state)
{
    static const struct {
        const char *text, *words;
    } wrong[] = {
        {"host", "host: expected a name"},
        {"host -alpha", "host: expected a name"},
        {"host al pha", "host: expected a name"},
        {"host 0123456789012345678901234567890123", "host: expected a name"},
        {"host al/pha", "host: expected a name"},
        {"secret", "secret: expected a trust group"},
        {"secret lab", "secret: expected a trust group"},
        {"secret lab 00", "secret: expected a trust group"},
        {"secret lab 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g",
         "secret: expected a trust group"},
        {"secret lab 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0",
         "secret: expected a trust group"},
        {"secret -lab 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
         "secret: expected a trust group"},
        {"vm a\ngroup", "group: expected a name"},
        {"default-group a b", "default-group: expected a name"},
        {"vm a\ngroup a b", "group: expected a name"},
        {"address 192.0.2.1", "address: expected an IPv4 address with its prefix"},
        {"address 192.0.2.256/24", "address: expected"},
        {"address 192.0.2/24", "address: expected"},
        {"address 192.0.2.1/33", "address: expected"},
        {"address 192.0.2.1/24x", "address: expected"},
        {"address 192.0.2.1/", "address: expected"},
        {"address .0.2.1/24", "address: expected"},
        {"address 4294967488.0.2.1/24", "address: expected"},
        {"console", "console: expected com1 to com4"},
        {"console com", "console: expected"},
        {"console com0", "console: expected"},
        {"console com5 9600", "console: expected"},
        {"console com1 115201", "console: expected"},
        {"console com1 ", NULL},
        {"console com1 fast", "console: expected"},
        {"console com11", "console: expected"},
        {"file", "file: expected a file on the boot volume"},
        {"vm", "vm: expected a new name"},
        {"vm a b", "vm: expected a new name"},
        {"vm .", "vm: expected a new name"},
        {"vm v\nmemory", "memory: expected a size from 4M"},
        {"vm v\nmemory 4095K", "memory: expected"},
        {"vm v\nmemory 4097K", "memory: expected"},
        {"vm v\nmemory 4194305", "memory: expected"},
        {"vm v\nmemory 1025G", "memory: expected"},
        {"vm v\nmemory 16777216T", "memory: expected"},
        {"vm v\nmemory 64MB", "memory: expected"},
        {"vm v\nmemory -1", "memory: expected"},
        {"vm v\nmemory 4M", NULL},
        {"vm v\nmemory 1024G", NULL},
        {"vm v\nmemory 0x1000000", NULL},
        {"vm v\ncpus 0", "cpus: expected a number from 1 to 16"},
        {"vm v\ncpus 17", "cpus: expected"},
        {"vm v\ncpus two", "cpus: expected"},
        {"vm v\ncpus 16", NULL},
        {"vm v\nkernel", "kernel: expected a file"},
        {"vm v\ninitrd", "initrd: expected a file"},
        {"vm v\nmodule", "module: expected a file"},
        {"vm v\nautostart", "autostart: expected yes or no"},
        {"vm v\nautostart Yes", "autostart: expected yes or no"},
        {"vm v\ncmdline", NULL},
    };

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        if (wrong[i].words)
            assert_wrong(wrong[i].text, strchr(wrong[i].text, '\n') ? 2 : 1, wrong[i].words);
        else if (parse(wrong[i].text))
            fail_msg("'%s': %s", wrong[i].text, wrong_what);
    }
}

static void an_unknown_key_says_what_is_near(void **state)
{
    (void)state;
    assert_wrong("hots alpha", 1, "unknown key 'hots': did you mean host");
    assert_wrong("vm v\nmemroy 64M", 2, "did you mean memory");
    assert_wrong("frobnicate", 1, "unknown key 'frobnicate': see docs/ferry.cfg.md");
    assert_wrong("Host alpha", 1, "did you mean host");
    assert_wrong("\001\377bell", 1, "unknown key '\?\?bell'");
    assert_wrong("a-key-that-is-far-too-long-to-be-shown", 1, "'a-key-that-is-far-too-l'");
}

static void keys_of_a_vm_need_one(void **state)
{
    (void)state;
    assert_wrong("memory 64M", 1, "'memory' stands before the first 'vm NAME' line");
}

static void the_section_of_a_refused_vm_is_left_out_in_silence(void **state)
{
    (void)state;
    assert_wrong("vm a\nmemory 64M\nvm a\nmemory 8M\ncpus lots\nvm b\ncpus 2", 3,
                 "vm: expected a new name");
    assert_int_equal(config.vm_count, 2);
    assert_int_equal(config.vm[0].memory, MIB(64));
    assert_int_equal(config.vm[1].vcpus, 2);
}

static void a_wrong_line_leaves_the_value_as_it_was(void **state)
{
    char text[1200];

    (void)state;
    assert_wrong("host a\naddress 10.0.0.1/8\nhost b!\n", 3, "host");
    assert_string_equal(config.host, "a");
    parse("address 10.0.0.1/8\naddress 10.0.0.2/99\nconsole com2 9600\nconsole com1 1\n");
    assert_int_equal(config.address[3], 1);
    assert_int_equal(config.console_port, 0x2f8);
    snprintf(
        text, sizeof(text),
        "vm v\nkernel k\nkernel %080d\ninitrd %080d\nmodule %080d\nmodule m %0578d\nfile %080d\n",
        0, 0, 0, 0, 0);
    assert_int_equal(parse(text), 5);
    assert_string_equal(config.vm[0].kernel, "k");
    assert_string_equal(config.vm[0].initrd, "");
    assert_int_equal(config.vm[0].module_count, 0);
    assert_int_equal(config.file_count, 0);
}

static void the_longest_of_everything_fits(void **state)
{
    char text[2048];

    (void)state;
    snprintf(text, sizeof(text),
             "host %031d\nvm %031d\nkernel %063d\ninitrd %063d\nmodule %063d %0511d\ncmdline "
             "%0511d\nfile %063d",
             1, 2, 3, 4, 5, 6, 7, 8);
    assert_int_equal(parse(text), 0);
    assert_int_equal(strlen(config.vm[0].module[0]), 63 + 1 + 511);
    assert_int_equal(strlen(config.vm[0].cmdline), 511);
    assert_int_equal(strlen(config.file[0]), 63);
    snprintf(text, sizeof(text), "vm v\ncmdline %0512d", 1);
    assert_wrong(text, 2, "cmdline: expected");
    snprintf(text, sizeof(text), "vm v\ncmdline %01000d\ncpus 2", 1);
    assert_wrong(text, 2, "the line is longer than 591 characters");
    assert_int_equal(config.vm[0].vcpus, 2);
}

static void there_is_a_limit_to_each_list(void **state)
{
    char text[4096] = "";
    size_t n = 0;

    (void)state;
    for (unsigned i = 0; i <= CONFIG_MAX_VMS; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "vm v%u\n", i);
    assert_wrong(text, CONFIG_MAX_VMS + 1, "16 VMs at most");
    assert_int_equal(config.vm_count, CONFIG_MAX_VMS);
    n = (size_t)snprintf(text, sizeof(text), "vm v\n");
    for (unsigned i = 0; i <= CONFIG_MAX_MODULES; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "module m%u\n", i);
    assert_wrong(text, CONFIG_MAX_MODULES + 2, "4 modules at most");
    n = 0;
    for (unsigned i = 0; i <= CONFIG_MAX_FILES; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "file f%u\n", i);
    assert_wrong(text, CONFIG_MAX_FILES + 1, "48 files at most");
}

static void text_may_come_from_any_editor(void **state)
{
    (void)state;
    assert_int_equal(parse("host a\r\n\tvm\tv\t\r\n \t cpus \t 2 \r\n\r\n\t# comment\r\n"), 0);
    assert_string_equal(config.host, "a");
    assert_int_equal(config.vm[0].vcpus, 2);
    assert_int_equal(parse("host b"), 0);
    assert_string_equal(config.host, "b");
    assert_int_equal(parse("\n\n\n"), 0);
}

static void a_byte_order_mark_is_no_part_of_the_first_line(void **state)
{
    (void)state;
    assert_int_equal(parse("\xef\xbb\xbfhost a\nvm v\n"), 0);
    assert_string_equal(config.host, "a");
    assert_wrong("\xff\xfeh", 1, "UTF-16, which is not read: save it as UTF-8");
    assert_wrong("\xfe\xff", 1, "UTF-16");
    assert_int_equal(parse("\xef\xbb\xbf"), 0);
}

#define KEY "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff"

static void hexadecimal_digits_may_be_capitals(void **state)
{
    (void)state;
    assert_int_equal(parse("peer b 10.0.0.2 " KEY "\nsecret lab " KEY "\n"), 0);
    assert_int_equal(config.peer[0].key[10], 0xaa);
    assert_memory_equal(config.peer[0].key + 16, config.peer[0].key, 16);
    assert_memory_equal(config.peer[0].key, config.secret[0].key, CONFIG_KEY);
}

static void an_address_that_no_host_can_have_is_refused_by_name(void **state)
{
    (void)state;
    assert_wrong("address 0.0.0.0/24", 1, "0.0.0.0/24 is not a host's address: addresses that");
    assert_wrong("address 127.0.0.1/8", 1, "127 do not leave a host");
    assert_wrong("address 224.0.0.1/4", 1, "multicast groups");
    assert_wrong("address 255.255.255.255/32", 1, "broadcast");
    assert_wrong("address 10.0.0.0/24", 1, "the network's own address");
    assert_wrong("address 10.0.0.255/24", 1, "the network's broadcast address");
    assert_wrong("address 10.255.255.255/8", 1, "the network's broadcast address");
    assert_int_equal(config.prefix, 0);
    assert_int_equal(parse("address 10.0.0.255/8"), 0);
    assert_int_equal(parse("address 10.0.0.0/31"), 0);
    assert_int_equal(parse("address 10.0.0.255/32"), 0);
}

static void a_peer_that_cannot_be_one_is_refused_or_named(void **state)
{
    (void)state;
    assert_wrong("host a\naddress 10.0.0.1/24\npeer a 10.0.0.2 " KEY, 3, "a is this host itself");
    assert_wrong("peer a 10.0.0.2 " KEY "\nhost a", 1, "a is this host itself");
    assert_int_equal(config.peer_count, 0);
    assert_wrong("peer b 10.0.0.1 " KEY "\naddress 10.0.0.1/24", 1,
                 "b has this host's own address, 10.0.0.1");
    assert_int_equal(config.peer_count, 0);
    assert_wrong("peer b 10.0.0.2 " KEY "\npeer c 10.0.0.2 " KEY, 2,
                 "c has the address of b, 10.0.0.2");
    assert_wrong("peer b 10.0.0.2 " KEY "\n\npeer b 10.0.0.3 " KEY, 3, "line 1 names b already");
    assert_wrong("peer b 239.1.2.3 " KEY, 1, "b cannot have that address: addresses from 224");
    assert_int_equal(config.peer_count, 0);
    /* Kept: it may have VMs of this host all the same. */
    assert_wrong("address 10.0.0.1/24\npeer b 10.0.1.2 " KEY "\npeer c 10.0.0.3 " KEY, 2,
                 "b is outside of this host's network, and will not be reached");
    assert_int_equal(config.peer_count, 2);
    assert_wrong("address 10.0.0.1/24\npeer b 10.0.0.255 " KEY, 2,
                 "b will not be reached: that is the network's broadcast address");
    assert_int_equal(config.peer_count, 1);
    assert_int_equal(parse("peer b 10.0.0.2 " KEY "\npeer c 10.0.0.3 " KEY), 0);
}

static void a_byte_behind_the_end_is_not_read(void **state)
{
    char *text = test_malloc(6);

    (void)state;
    memcpy(text, "host a", 6); /* ASan watches its end */
    assert_int_equal(parse_bytes(text, 6), 0);
    assert_string_equal(config.host, "a");
    test_free(text);
}

static void a_nul_is_no_end(void **state)
{
    static const char text[] = "host a\0b\nvm v\ncpus 2\0\ncpus 3\n";

    (void)state;
    assert_int_equal(parse_bytes(text, sizeof(text) - 1), 2);
    assert_int_equal(wrong_line, 1);
    assert_int_equal(config.vm[0].vcpus, 3);
}

static void nobody_needs_to_listen(void **state)
{
    (void)state;
    assert_int_equal(config_parse(&config, "nonsense", 8, NULL, NULL), 1);
}

static void the_path_of_a_module_ends_at_its_first_blank(void **state)
{
    char path[CONFIG_PATH], text[200];

    (void)state;
    config_module_path("boot/mod a b", path);
    assert_string_equal(path, "boot/mod");
    config_module_path("mod", path);
    assert_string_equal(path, "mod");
    config_module_path("", path);
    assert_string_equal(path, "");
    snprintf(text, sizeof(text), "%0199d", 0);
    config_module_path(text, path);
    assert_int_equal(strlen(path), CONFIG_PATH - 1);
}

static void two_vms_are_the_same_if_they_make_the_same_machine(void **state)
{
    static const char text[] = "vm a\n memory 8M\n kernel k\n module m x\n"
                               "vm b\n memory 8M\n kernel k\n module m x\n autostart yes\n";
    struct config_vm a, b;

    (void)state;
    assert_int_equal(config_parse(&config, text, sizeof(text) - 1, NULL, NULL), 0);
    a = config.vm[0];
    b = config.vm[1];
    assert_false(config_same_vm(&a, &b));
    b.name[0] = 'a';
    assert_true(config_same_vm(&a, &b));
    b.module[0][2] = 'y';
    assert_false(config_same_vm(&a, &b));
    b = a;
    b.memory *= 2;
    assert_false(config_same_vm(&a, &b));
}

static void a_default_group_is_that_of_vms_that_name_none_wherever_it_stands(void **state)
{
    (void)state;
    assert_int_equal(parse("vm a\n"
                           "vm b\n"
                           "group lab\n"
                           "default-group all\n"
                           "vm c\n"),
                     0);
    assert_string_equal(config.vm[0].group, "all");
    assert_string_equal(config.vm[1].group, "lab");
    assert_string_equal(config.vm[2].group, "all");
    assert_string_equal(config.default_group, "all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_a_host_named_ferry_without_vms),
        cmocka_unit_test(rdma_has_its_time_outs),
        cmocka_unit_test(every_key_is_understood),
        cmocka_unit_test(a_default_group_is_that_of_vms_that_name_none_wherever_it_stands),
        cmocka_unit_test(every_wrong_value_is_named_with_what_was_expected),
        cmocka_unit_test(an_unknown_key_says_what_is_near),
        cmocka_unit_test(keys_of_a_vm_need_one),
        cmocka_unit_test(the_section_of_a_refused_vm_is_left_out_in_silence),
        cmocka_unit_test(a_wrong_line_leaves_the_value_as_it_was),
        cmocka_unit_test(the_longest_of_everything_fits),
        cmocka_unit_test(there_is_a_limit_to_each_list),
        cmocka_unit_test(text_may_come_from_any_editor),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_first_line),
        cmocka_unit_test(hexadecimal_digits_may_be_capitals),
        cmocka_unit_test(an_address_that_no_host_can_have_is_refused_by_name),
        cmocka_unit_test(a_peer_that_cannot_be_one_is_refused_or_named),
        cmocka_unit_test(a_byte_behind_the_end_is_not_read),
        cmocka_unit_test(a_nul_is_no_end),
        cmocka_unit_test(nobody_needs_to_listen),
        cmocka_unit_test(the_path_of_a_module_ends_at_its_first_blank),
        cmocka_unit_test(two_vms_are_the_same_if_they_make_the_same_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
