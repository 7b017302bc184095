/* Feeds every file of the folders and files given to the fuzz target that it is linked with, so that what a
 * fuzzer once found is tried in each test run, without a fuzzer. Folders are read without their subfolders.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    struct stat st;
    if (fstat(fileno(f), &st)) {
        perror(path);
        fclose(f);
        return 1;
    }
    /* As large as the content and no larger, so that the address sanitizer sees the first byte read past it.
     */
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, f) != size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(data);
        fclose(f);
        return 1;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

static int replay_folder(const char *path, size_t *files) {
    DIR *dir = opendir(path);
    if (!dir) {
        return 0; /* a target may have no corpus yet */
    }
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        struct stat st;
        if (stat(file, &st) == 0 && S_ISREG(st.st_mode)) {
            failed |= replay_file(file);
            ++*files;
        }
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv) {
    size_t files = 0;
    int failed = 0;
    /* Every target must survive nothing at all. */
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISREG(st.st_mode)) {
            failed |= replay_file(argv[i]);
            files++;
        } else {
            failed |= replay_folder(argv[i], &files);
        }
    }
    printf("%zu inputs replayed\n", files);
    return failed;
}
